"""Whatever arrives, a transcoded session neither breaks nor answers with more than its share."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from .ends import Call, End
from .signals import tone

PACKETS = st.lists(
    st.tuples(
        st.sampled_from([0, 8, 9, 13, 18, 97, 101, 111, 77]),  # payload type
        st.integers(-5, 200),  # step of the sequence number
        st.one_of(st.integers(-4000, 4000), st.integers(0, 2**32 - 1)),  # step of the time stamp
        st.sampled_from([1, 2]),  # sender
        st.one_of(
            st.binary(max_size=400),
            st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 65535)).map(
                lambda event: struct.pack("!BBH", *event)
            ),
        ),
        st.floats(0, 3),  # s before it comes
    ),
    max_size=25,
)
ENDS = (
    lambda: (End(4000, "pcmu", dtmf=101), End(5000, "opus", dtmf=97)),
    lambda: (End(4000, "g729", dtmf=101), End(5000, "g722")),
    lambda: (End(4000, "pcma"), End(5000, "g729", 30, dtmf=101)),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ENDS), st.sampled_from([0, 1]), PACKETS)
def test_nothing_that_arrives_breaks_a_session(ends, leg, packets) -> None:  # type: ignore[no-untyped-def]
    call = Call(*ends())
    sequence = timestamp = 0
    heard: list[int] = []
    for number, step, ticks, sender, payload, pause in packets:
        sequence, timestamp = (sequence + step) & 0xFFFF, (timestamp + ticks) & 0xFFFFFFFF
        head = struct.pack("!BBHII", 0x80, number, sequence, timestamp, sender)
        out = call.say(leg, head + payload, pause) + call.wait(leg, 0.02)
        assert len(out) <= 60, "concealment, a packet of 240 ms, three waiting ones"
        heard += [one.sequence for one in out]
    assert len(set(heard)) == len(heard), "no number goes out twice"
    assert call.carry(leg, tone(call.ends[leg].rate, 0.5)) or len(packets) > 0


def test_a_session_goes_on_after_nonsense() -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "g729", dtmf=101))
    call.carry(0, tone(8000, 0.2))
    for payload in (b"", b"\x00", b"\xff" * 1000, struct.pack("!BBH", 255, 255, 65535)):
        for number in (0, 13, 101, 18):
            call.say(0, call.ends[0].packet(payload, number=number))
    call.wait(0, 1)
    call.ends[0].timestamp += 70_000  # behind the 8 s that the last event claims
    assert len(call.carry(0, tone(8000, 0.4))) >= 18
