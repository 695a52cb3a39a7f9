"""A session that opens nothing: packets go on octet by octet, between the addresses that were signalled."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.counters import (
    MALFORMED,
    RECEIVED,
    RECEIVED_OCTETS,
    RTCP_DROPPED,
    RTCP_RECEIVED,
    RTCP_SENT,
    SENT,
    SENT_OCTETS,
    STRANGERS,
)
from cubeproxy.protocols.values import PASS_THROUGH, Address

from .phones import Line, Phone, key

ATTACKER = ("127.0.9.9", 6666)


def opaque(**changes: object) -> Line:
    """A phone with keys that the session does not know, and whoever has them."""
    line = Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), key(2), key(1)))
    through(line, **changes)
    return line


def through(line: Line, codec: object = PASS_THROUGH, **changes: object) -> None:
    bare = {"send_key": None, "receive_key": None}
    access, core = line.phones
    line.negotiate(access.spec(codec=codec, **bare, **changes), core.spec(codec=PASS_THROUGH, **bare))


def test_srtp_passes_both_ways_as_it_is() -> None:
    line = opaque()
    for leg in (0, 1, 0):
        spoken = line.phones[leg].say()
        assert line.pass_on(leg, spoken) == (spoken, line.phones[1 - leg].address)
        assert line.phones[1 - leg].hear(spoken).payload == b"\xff" * 160
    assert [line.words(0, word) for word in (RECEIVED, SENT)] == [2, 1]
    assert line.words(0, RECEIVED_OCTETS) == 2 * line.words(0, SENT_OCTETS) == 2 * 170


@given(packet=st.binary(min_size=10, max_size=200))
@settings(max_examples=60)
def test_whatever_looks_like_rtp_is_not_touched(packet: bytes) -> None:
    line = opaque()
    datagram = b"\x9f\x05" + packet
    assert line.pass_on(1, datagram) == (datagram, line.phones[0].address)


def test_strangers_are_refused_and_counted() -> None:
    line = opaque()
    assert line.pass_on(0, line.phones[0].say(), ATTACKER) is None
    assert line.words(0, STRANGERS) == 1
    assert line.pass_on(0, line.phones[0].say())


def test_a_leg_that_may_learn_learns_once() -> None:
    line = opaque(latch=True)
    moved = ("127.0.0.1", 4999)
    assert line.pass_on(0, line.phones[0].say(), moved)
    answer = line.pass_on(1, line.phones[1].say())
    assert answer is not None
    assert answer[1] == moved
    assert line.pass_on(0, line.phones[0].say(), ATTACKER) is None


REPORT = b"\x80\xc8\x00\x06" + bytes(range(24)) + bytes(14)  # as SRTCP: nothing here can tell


def passed(line: Line, leg: int, datagram: bytes, source: Address | None = None) -> object:
    """Through the RTCP ports."""
    host, port = line.phones[leg].address
    return line.session.receive_rtcp(leg, datagram, source or (host, port + 1), line.now)


def test_rtcp_passes_as_it_is_between_the_ports_next_to_the_packets() -> None:
    line = opaque()
    for leg in (0, 1):
        host, port = line.phones[1 - leg].address
        assert passed(line, leg, REPORT) == (REPORT, (host, port + 1))
    assert [line.words(0, word) for word in (RTCP_RECEIVED, RTCP_SENT, RTCP_DROPPED, RECEIVED)] == [1, 1, 0, 0]


def test_rtcp_goes_where_it_was_signalled_to_go() -> None:
    line = opaque()
    bare = {"send_key": None, "receive_key": None, "codec": PASS_THROUGH}
    access, core = line.phones
    line.negotiate(access.spec(**bare, remote_rtcp=("127.0.0.1", 4711)), core.spec(**bare))
    assert passed(line, 1, REPORT) == (REPORT, ("127.0.0.1", 4711))
    line.negotiate(access.spec(**bare, remote_rtcp=("127.0.0.1", 0)), core.spec(**bare))
    assert passed(line, 1, REPORT) is None


def test_muxed_rtcp_stays_with_the_packets() -> None:
    line = opaque()
    assert line.pass_on(0, REPORT) == (REPORT, line.phones[1].address)
    assert line.words(0, RECEIVED) == 0


def test_rtcp_of_a_stranger_and_what_is_none_go_nowhere() -> None:
    line = opaque()
    assert passed(line, 0, REPORT, ATTACKER) is None
    assert line.pass_on(0, REPORT, ATTACKER) is None
    assert line.words(0, STRANGERS) == 2
    assert passed(line, 0, line.phones[0].say()) is None
    assert line.pass_on(0, b"\x00\x01" + bytes(26)) is None
    assert line.words(0, MALFORMED) == 2


def test_rtcp_goes_on_while_the_voice_is_held() -> None:
    """RFC 3264 5.1: a direction is one of RTP, not of RTCP."""
    line = opaque(sends=False, receives=False)
    assert passed(line, 1, REPORT)
    assert passed(line, 0, REPORT)


def test_rtcp_follows_a_peer_that_was_learnt() -> None:
    line = opaque(latch=True)
    moved = ("127.0.0.77", 4999)
    assert passed(line, 0, REPORT, ("127.0.0.77", 5000)) is None
    assert line.pass_on(0, line.phones[0].say(), moved)
    assert passed(line, 0, REPORT, ("127.0.0.77", 5000))
    assert passed(line, 1, REPORT) == (REPORT, ("127.0.0.77", 5000))


@pytest.mark.parametrize("changes", [{"sends": False}, {"remote": None}])
def test_what_must_not_be_sent_is_not(changes: dict[str, object]) -> None:
    line = opaque(**changes)
    assert line.pass_on(1, line.phones[1].say()) is None
    assert line.words(1, RECEIVED) == 1
    assert line.words(0, SENT) == 0


def test_a_leg_that_does_not_receive_passes_nothing_on() -> None:
    line = opaque(receives=False)
    assert line.pass_on(0, line.phones[0].say()) is None


def test_one_leg_alone_makes_no_passage() -> None:
    """Both have to say so: a codec of the other leg is opened as ever."""
    line = opaque()
    through(line, codec=Phone(("127.0.0.1", 4000)).spec().codec)
    spoken = line.phones[0].say()
    out = line.pass_on(0, spoken)
    assert out is None or out[0] != spoken


def test_a_session_may_become_one_and_cease_to_be() -> None:
    line = opaque()
    assert line.pass_on(0, line.phones[0].say())
    line.negotiate(line.phones[0].spec(), Phone(("127.0.0.2", 5000)).spec())
    out = line.pass_on(0, line.phones[0].say())
    assert out is not None
    assert len(out[0]) == 172
    through(line)
    spoken = line.phones[0].say()
    assert line.pass_on(0, spoken) == (spoken, line.phones[1].address)
