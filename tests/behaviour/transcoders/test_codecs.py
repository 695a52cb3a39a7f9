"""Another codec or another packet period on either leg: each end says a tone in its own words and hears the other's."""

from __future__ import annotations

import asyncio
import struct
from array import array

import numpy as np
import pytest

from cubeproxy.media.coding.tones import Listener, Pressed
from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.telephone_event import packets
from cubeproxy.protocols.values import Codec, StreamSpec
from tests.behaviour.transcoders.bench import HOSTS
from tests.behaviour.transcoders.callers import TONES, Caller
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row
from tests.media.coding.conftest import missing
from tests.media.coding.signals import keys, pcm
from tests.media.phones import key

G729 = Codec("g729", 8000)
EVENTS = 101
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@needs(Capability.CODECS)
@row
async def test_srtp_in_g729_and_rtp_in_g711(member: Member) -> None:
    async with member.bench() as bench:
        phone = bench.caller(0, ours=key(1), theirs=key(2), codec=G729, payload_type=18)
        call = await bench.call(phone, bench.caller(1))
        await call.talk()
        assert {len(packet.payload) for packet in phone.heard} == {20}


@needs(Capability.CODECS)
@row
async def test_two_laws_of_g711(member: Member) -> None:
    async with member.bench() as bench:
        far = bench.caller(1, codec=Codec("pcma", 8000), payload_type=8)
        call = await bench.call(bench.caller(0, ours=key(1), theirs=key(2)), far)
        await call.talk()


@needs(Capability.CODECS)
@row
async def test_held_with_another_codec_and_resumed(member: Member) -> None:
    async with member.bench() as bench:
        phone = bench.caller(0, ours=key(1), theirs=key(2), codec=G729, payload_type=18)
        call = await bench.call(phone, bench.caller(1))
        call.negotiate(phone.spec(sends=False, receives=False), call.callers[1].spec(sends=False, receives=False))
        await call.silent(0)
        call.negotiate()
        await call.flows()
        await call.talk()


@needs(Capability.PACKETISATION, Capability.CODECS)
@row
async def test_packets_of_20_ms_and_of_30_ms(member: Member) -> None:
    async with member.bench() as bench:
        far = bench.caller(1, ptime=30)
        call = await bench.call(bench.caller(0, ours=key(1), theirs=key(2)), far)
        await call.talk()
        assert {len(packet.payload) for packet in call.callers[0].heard} == {160}
        assert {len(packet.payload) for packet in far.heard} == {240}


class Teller(Caller):
    """An end that tells digits as events."""

    def spec(self, **changes: object) -> StreamSpec:
        return super().spec(dtmf_payload_type=EVENTS, **changes)


@needs(Capability.TONES)
@row
async def test_a_key_is_tones_on_one_leg_and_an_event_on_the_other(member: Member) -> None:
    async with member.bench() as bench:
        phone, far = bench.caller(0, ours=key(1), theirs=key(2)), Teller(HOSTS[1], TONES[1])
        bench.callers.append(far)
        call = await bench.call(phone, far)
        far.deafen()
        samples = pcm(np.concatenate([np.zeros(1600), keys("7", 8000, 0.1), np.zeros(2400)]))
        for at in range(0, len(samples), 160):
            phone.send(call.local[0], phone.speech.encode(samples[at : at + 160]))
            await asyncio.sleep(0.02)
        heard = [await far.hear_one() for _ in range(12)]
        told = [struct.unpack("!BBH", one.payload) for one in heard if one.payload_type == EVENTS]
        while len([one for one in told if one[1] > 127]) < 3:
            one = await far.hear_one()
            told += [struct.unpack("!BBH", one.payload)] if one.payload_type == EVENTS else []
        assert {event for event, *_ in told} == {7}
        assert 640 <= told[-1][2] <= 1040, "100 ms, in units of 1/8000 s"
        far.deafen()
        for place, press in enumerate(packets("3", duration=100)):
            far.timestamp -= 160 if place else 0  # one time stamp for the whole event
            far.rtp.sendto(far.say(press, payload_type=EVENTS, marker=not place), call.local[1])
            await asyncio.sleep(0.02)
        listener = Listener(8000)
        while not (pressed := [one.digit for one in listener.hear(await _next(phone)) if isinstance(one, Pressed)]):
            pass
        assert pressed == ["3"]


async def _next(phone: Caller) -> array[int]:
    return phone.speech.decode((await phone.hear_one()).payload)
