"""RTP on the packet path: header arithmetic to the octet, and which protocol a datagram speaks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols import rtp
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.rtp import Kind, RtpPacket

PLAIN = bytes.fromhex("80000001000000a0cafebabe") + b"voice"


class TestPacket:
    def test_build_and_parse(self) -> None:
        packet = rtp.build(101, 65536 + 7, 2**32 + 160, 0xCAFEBABE, b"x", marker=True)
        assert packet == bytes.fromhex("80e50007000000a0cafebabe") + b"x"
        assert RtpPacket.parse(packet) == RtpPacket(101, 7, 160, 0xCAFEBABE, b"x", marker=True)

    def test_every_part_of_the_header(self) -> None:
        packet = bytes.fromhex("b2083039000000a0cafebabe 00000001 00000002 bede0002 1122334455667788") + b"voice\0\0\3"
        parsed = RtpPacket.parse(packet)
        assert parsed.payload == b"voice"
        assert parsed.csrc == (1, 2)
        assert parsed.extension == (0xBEDE, bytes.fromhex("1122334455667788"))
        assert parsed.padding == 3
        assert (parsed.payload_type, parsed.marker, parsed.sequence) == (8, False, 12345)
        assert parsed.serialise() == packet
        assert rtp.payload_span(packet) == (32, 37)
        assert rtp.header_length(packet) == 32

    def test_no_payload_is_a_packet_too(self) -> None:
        assert RtpPacket.parse(PLAIN[:12]).payload == b""

    @pytest.mark.parametrize(
        "packet",
        [
            b"",
            PLAIN[:11],
            b"\x40" + PLAIN[1:],
            b"\xc0" + PLAIN[1:],
            b"\x82" + PLAIN[1:],  # two CSRC, room for one
            b"\x90" + PLAIN[1:15],  # extension header cut off
            b"\x90" + PLAIN[1:12] + b"\0\0\0\1",  # extension of a word that is not there
            b"\xa0" + PLAIN[1:] + b"\0",
            b"\xa0" + PLAIN[1:] + b"\7",
            b"\xa0" + PLAIN[1:12],
        ],
    )
    def test_what_does_not_fit_is_refused(self, packet: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            RtpPacket.parse(packet)
        with pytest.raises(RemoteProtocolError):
            rtp.payload_span(packet)

    def test_padding_may_be_all_there_is(self) -> None:
        assert RtpPacket.parse(b"\xa0" + PLAIN[1:12] + b"\0\2").padding == 2

    @pytest.mark.parametrize(
        "packet",
        [
            RtpPacket(128, 0, 0, 0, b""),
            RtpPacket(0, 0, 0, 0, b"", padding=256),
            RtpPacket(0, 0, 0, 0, b"", csrc=tuple(range(16))),
            RtpPacket(0, 0, 0, 0, b"", extension=(1, b"odd")),
        ],
    )
    def test_a_field_of_ours_that_does_not_fit_is_our_mistake(self, packet: RtpPacket) -> None:
        with pytest.raises(ValueError, match="RTP"):
            packet.serialise()

    def test_comparing_and_showing(self) -> None:
        packet = RtpPacket(0, 1, 2, 3, b"secret voice", marker=True)
        assert packet != RtpPacket(0, 1, 2, 3, b"other voice!", marker=True)
        assert packet != "packet"
        assert repr(packet) == "RtpPacket(pt=0, seq=1, ts=2, ssrc=0x00000003, 12 octets, marker)"
        assert "marker" not in repr(RtpPacket(0, 1, 2, 3, b""))


class TestClassify:
    @pytest.mark.parametrize(
        ("datagram", "kind"),
        [
            (PLAIN, Kind.RTP),
            (PLAIN[:12], Kind.RTP),
            (PLAIN[:11], Kind.OTHER),
            (b"\x80\xff" + PLAIN[2:], Kind.RTP),  # marker and payload type 127
            (b"\x80\xbf" + PLAIN[2:], Kind.RTP),  # marker and 63
            (b"\x80\xc0" + PLAIN[2:], Kind.RTCP),  # 64 to 95 belong to RTCP
            (b"\x80\xc8\0\1\0\0\0\1", Kind.RTCP),
            (b"\x80\xdf\0\1\0\0\0\1", Kind.RTCP),
            (b"\x80\xe0" + PLAIN[2:], Kind.RTP),
            (b"\x80\xc8\0\0", Kind.OTHER),  # four octets of "RTCP"
            (b"\x80\xc8\0\1\0\0\0", Kind.OTHER),
            (b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12), Kind.STUN),
            (b"\0\1\0\0\x21\x12\xa4\x42" + bytes(11), Kind.OTHER),
            (b"\0\1\0\0" + bytes(16), Kind.OTHER),
            (b"\x04\1\0\0\x21\x12\xa4\x42" + bytes(12), Kind.OTHER),
            (b"\x16\xfe\xff" + bytes(10), Kind.DTLS),
            (b"\x14\xfe\xff" + bytes(10), Kind.DTLS),
            (b"\x3f\xfe\xff" + bytes(10), Kind.DTLS),
            (b"\x16\xfe\xff" + bytes(9), Kind.OTHER),
            (b"\x13\xfe\xff" + bytes(10), Kind.OTHER),
            (b"\x40\xfe\xff" + bytes(10), Kind.OTHER),
            (b"\xc0" + PLAIN[1:], Kind.OTHER),
            (b"", Kind.OTHER),
        ],
    )
    def test_by_the_first_octets(self, datagram: bytes, kind: Kind) -> None:
        assert rtp.classify(datagram) is kind


octets = st.binary(max_size=40)
packets = st.builds(
    RtpPacket,
    st.integers(0, 127),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    octets,
    marker=st.booleans(),
    csrc=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | st.tuples(st.integers(0, 0xFFFF), octets.map(lambda some: some[: len(some) // 4 * 4])),
    padding=st.integers(0, 255),
)


class TestProperties:
    @given(packets)
    @settings(max_examples=150)
    def test_what_we_write_we_read(self, packet: RtpPacket) -> None:
        written = packet.serialise()
        assert RtpPacket.parse(written) == packet
        start, end = rtp.payload_span(written)
        assert written[start:end] == packet.payload

    @given(octets | st.tuples(st.integers(0x80, 0xBF), octets).map(lambda pair: bytes(pair[:1]) + pair[1]))
    @settings(max_examples=200)
    def test_any_octets_are_read_or_refused(self, datagram: bytes) -> None:
        rtp.classify(datagram)
        try:
            parsed = RtpPacket.parse(datagram)
        except RemoteProtocolError:
            return
        assert len(parsed.serialise()) == len(datagram)
        assert struct.unpack_from("!H", datagram, 2) == (parsed.sequence,)
