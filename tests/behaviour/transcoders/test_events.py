"""DTMF as RFC 4733 events: what one end calls 101 the other may call otherwise."""

from __future__ import annotations

import struct

from cubeproxy.media.transcoders.words import Capability
from tests.behaviour.transcoders.callers import converse
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row

PRESSES = tuple((5, end << 7 | 10, duration) for end, duration in ((0, 160), (0, 320), (0, 480), (1, 640), (1, 640)))


@needs(Capability.DTMF)
@row
async def test_an_event_arrives_under_the_payload_type_of_each_end(member: Member) -> None:
    names = (101, 97)
    async with member.bench() as bench:
        call = await bench.call()
        call.negotiate(*(end.spec(dtmf_payload_type=name) for end, name in zip(call.callers, names, strict=True)))
        await call.flows()
        for leg, (speaker, listener) in enumerate((call.callers, call.callers[::-1])):
            await converse(call.callers, call.local, 10)
            for caller in call.callers:
                caller.deafen()
            at = speaker.timestamp + 160
            for number, press in enumerate(PRESSES):
                payload = struct.pack("!BBH", *press)
                speaker.timestamp = at - 160  # one time stamp for the whole event (RFC 4733 2.5.1.2)
                packet = speaker.say(payload, payload_type=names[leg], marker=not number)
                speaker.rtp.sendto(packet, call.local[leg])
            events = [await listener.hear_one() for _ in PRESSES]
            assert {event.payload_type for event in events} == {names[1 - leg]}
            assert [struct.unpack("!BBH", event.payload) for event in events] == list(PRESSES)
            assert len({event.timestamp for event in events}) == 1
