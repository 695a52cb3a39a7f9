"""What is not RTP ends at the port, and no datagram raises or ends anything."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.counters import MALFORMED, RECEIVED, RTCP_DROPPED
from cubeproxy.media.leg import MAX_RTP

from .phones import Line, clear_line, secure_line

SENDER_REPORT = struct.pack("!BBHIQIII", 0x80, 200, 6, 0x11223344, 1, 2, 3, 4)
GOODBYE = struct.pack("!BBHI", 0x81, 203, 1, 0x11223344)
STUN = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
DTLS = bytes((22, 254, 253)) + bytes(60)
FOUR_OCTETS = struct.pack("!BBH", 0x80, 201, 0)
LINES = [clear_line, secure_line]


@pytest.mark.parametrize("make", LINES)
@pytest.mark.parametrize("rtcp", [SENDER_REPORT, GOODBYE, SENDER_REPORT + GOODBYE])
def test_rtcp_on_the_rtp_port_is_dropped(make: Callable[[], Line], rtcp: bytes) -> None:
    line = make()
    for leg in (0, 1):
        assert line.pass_on(leg, rtcp) is None
        assert line.words(leg, RTCP_DROPPED) == 1
        assert line.talk(leg, 2)


def test_rtcp_on_its_own_port_is_counted_and_nothing_comes_of_it() -> None:
    line = secure_line()
    line.talk(0)
    for datagram in (SENDER_REPORT, GOODBYE, FOUR_OCTETS, b"", b"\xff" * 2000):
        line.session.receive_rtcp(0, datagram, ("127.0.9.9", 6666), line.now)
    assert line.words(0, RTCP_DROPPED) == 2
    assert line.words(0, MALFORMED) == 3
    assert line.talk(0)
    assert line.talk(1)


@pytest.mark.parametrize("make", LINES)
@pytest.mark.parametrize("datagram", [STUN, DTLS, FOUR_OCTETS, b"", b"\x80", b"\r\n\r\n", b"\x80\x00" + bytes(9)])
def test_other_protocols_and_garbage_are_malformed(make: Callable[[], Line], datagram: bytes) -> None:
    line = make()
    for leg in (0, 1):
        assert line.pass_on(leg, datagram) is None
        assert line.words(leg, MALFORMED) == 1
        assert line.talk(leg, 2)


@pytest.mark.parametrize("make", LINES)
def test_extension_csrc_and_padding_stay_behind(make: Callable[[], Line]) -> None:
    line = make()
    extension = struct.pack("!II", 7, 8) + struct.pack("!HHI", 0xBEDE, 1, 0x10FF0000)
    datagram = line.phones[0].say(b"payload" + b"\x00\x00\x03", first=0x80 | 0x20 | 0x10 | 2, between=extension)
    heard = line.carry(0, datagram)
    assert heard is not None
    assert heard.payload == b"payload"


@pytest.mark.parametrize(
    ("first", "between", "payload"),
    [
        (0x8F, b"", b"short of fifteen sources"),
        (0x90, b"", b"\xbe\xde\xff\xff extension beyond the end"),
        (0x90, b"", b"\xbe"),
        (0xA0, b"", b"padding\xff"),
        (0xA0, b"", b"padding\x00"),
    ],
)
def test_a_header_that_does_not_fit_is_malformed(first: int, between: bytes, payload: bytes) -> None:
    line = clear_line()
    assert line.pass_on(0, line.phones[0].say(payload, first=first, between=between)) is None
    assert line.words(0, MALFORMED) == 1
    assert line.talk(0)


@pytest.mark.parametrize("make", LINES)
def test_a_packet_too_long_to_protect_is_malformed_on_every_kind_of_call(make: Callable[[], Line]) -> None:
    line = make()
    assert line.carry(1, line.phones[1].say(bytes(MAX_RTP - 12)))
    assert line.pass_on(1, line.phones[1].say(bytes(MAX_RTP - 11))) is None
    assert line.words(1, MALFORMED) == 1


def test_an_empty_payload_passes() -> None:
    """RFC 6263 keepalive: an RTP packet without payload keeps a NAT open, also behind us."""
    line = secure_line()
    assert line.carry(0, line.phones[0].say(b""))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.one_of(
                st.binary(max_size=1600),
                st.binary(max_size=200).map(lambda tail: b"\x80\x00" + tail),
                st.tuples(st.integers(0x80, 0xBF), st.binary(min_size=11, max_size=60)).map(
                    lambda parts: bytes((parts[0],)) + parts[1]
                ),
            ),
        ),
        max_size=20,
    )
)
def test_nothing_that_arrives_raises_or_harms_a_secure_leg(datagrams: list[tuple[int, bytes]]) -> None:
    line = secure_line()
    line.talk(0, 2)
    for leg, datagram in datagrams:
        line.pass_on(leg, datagram)
        line.session.receive_rtcp(leg, datagram, ("127.0.9.9", 1), line.now)
    assert line.talk(0, 3)
    assert line.words(0, RECEIVED) == 5
