"""RTCP: lengths that add up to the octet, reports both ways."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols import rtcp
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.rtcp import Goodbye, ReceiverReport, Report, ReportBlock, SenderReport, SourceDescription

RECEIVER = bytes.fromhex("80c9000100000001")
BLOCK = ReportBlock(2, 128, -3, 70000, 5, 6, 7)


class TestReports:
    def test_a_compound_of_every_kind(self) -> None:
        reports: list[Report] = [
            SenderReport(1, 0x0123456789ABCDEF, 160, 10, 1600, [BLOCK]),
            ReceiverReport(1, [BLOCK, BLOCK]),
            SourceDescription(1, "cube@192.0.2.1"),
            Goodbye([1, 2]),
        ]
        assert rtcp.parse(rtcp.serialise(*reports)) == reports

    def test_the_octets_of_a_sender_report(self) -> None:
        assert rtcp.serialise(SenderReport(1, 2, 3, 4, 5, [BLOCK])) == bytes.fromhex(
            "81c8000c 00000001 00000000 00000002 00000003 00000004 00000005"
            "00000002 80fffffd 00011170 00000005 00000006 00000007"
        )

    @pytest.mark.parametrize("length", range(9))
    def test_a_cname_of_any_length_ends_with_a_null_on_a_word(self, length: int) -> None:
        written = rtcp.serialise(ReceiverReport(1), SourceDescription(1, "x" * length))
        assert len(written) % 4 == 0
        assert written[-1] == 0
        assert rtcp.parse(written)[1] == SourceDescription(1, "x" * length)

    def test_other_items_come_before_the_cname(self) -> None:
        body = b"\0\0\0\1" + b"\2\1n" + b"\1\2me" + b"\0"
        packet = struct.pack("!BBH", 0x81, 202, 3) + body
        assert rtcp.parse(RECEIVER + packet) == [ReceiverReport(1), SourceDescription(1, "me")]

    @pytest.mark.parametrize(
        "packet",
        [
            bytes.fromhex("80ca000100000001"),  # no chunk
            bytes.fromhex("81ca0002 00000001 02016e00"),  # a name only
            bytes.fromhex("81ca0001 00000001"),  # no item at all
            bytes.fromhex("80cc0002 00000001 6e616d65"),  # an application's own
        ],
    )
    def test_what_tells_nothing_is_left_out(self, packet: bytes) -> None:
        assert rtcp.parse(RECEIVER + packet) == [ReceiverReport(1)]

    def test_too_much_for_a_packet_is_our_mistake(self) -> None:
        with pytest.raises(ValueError, match="31"):
            rtcp.serialise(ReceiverReport(1, [BLOCK] * 32))
        with pytest.raises(ValueError, match="255"):
            rtcp.serialise(SourceDescription(1, "x" * 256))


class TestLengths:
    def test_split(self) -> None:
        packets = rtcp.split(RECEIVER + bytes.fromhex("a1cb0002 00000002 00000004"))
        assert [(packet.type, packet.entries, packet.body) for packet in packets] == [
            (201, 0, b"\0\0\0\1"),
            (203, 1, b"\0\0\0\2"),
        ]

    @pytest.mark.parametrize(
        "compound",
        [
            b"",
            RECEIVER[:4],
            RECEIVER[:7],
            RECEIVER + b"\0",
            RECEIVER + RECEIVER[:4],
            b"\x40" + RECEIVER[1:],
            b"\x80\x10" + RECEIVER[2:],
            bytes.fromhex("80c90000 00000001"),  # counts no words, has one
            bytes.fromhex("80c90002 00000001"),  # counts one too many
            bytes.fromhex("80ca0001 00000001"),  # does not begin with a report
            bytes.fromhex("a0c90002 00000001 00000004") + RECEIVER,  # padding, but not the last
            bytes.fromhex("a0c90002 00000001 00000000"),
            bytes.fromhex("a0c90002 00000001 00000003"),
            bytes.fromhex("a0c90002 00000001 00000008"),
            bytes.fromhex("81c90001 00000001"),  # a block that is not there
            bytes.fromhex("80c80005 00000001 00000000 00000002 00000003 00000004"),  # sender report cut off
            RECEIVER + bytes.fromhex("82cb0001 00000001"),  # goodbye of two, names one
            RECEIVER + bytes.fromhex("81ca0002 00000001 01046e00"),  # item longer than the packet
            RECEIVER + bytes.fromhex("81ca0002 00000001 02016e01"),  # item without a length
        ],
    )
    def test_what_does_not_add_up_is_refused(self, compound: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            rtcp.parse(compound)

    def test_reduced_size_packets_begin_with_anything(self) -> None:
        assert rtcp.parse(bytes.fromhex("81cb000100000002"), reduced_size=True) == [Goodbye([2])]


ssrcs = st.integers(0, 0xFFFFFFFF)
words = st.integers(0, 0xFFFFFFFF)
blocks = st.lists(
    st.builds(ReportBlock, ssrcs, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), words, words, words, words),
    max_size=31,
)
reports = st.builds(SenderReport, ssrcs, st.integers(0, 2**64 - 1), words, words, words, blocks) | st.builds(
    ReceiverReport, ssrcs, blocks
)


class TestProperties:
    @given(reports)
    @settings(max_examples=60)
    def test_what_we_write_we_read(self, report: SenderReport | ReceiverReport) -> None:
        assert rtcp.parse(rtcp.serialise(report)) == [report]

    @given(
        st.binary(max_size=64)
        | st.tuples(st.integers(0x80, 0xBF), st.integers(200, 204), st.integers(0, 4), st.binary(max_size=20)).map(
            lambda parts: bytes((parts[0], parts[1], 0, parts[2])) + parts[3]
        )
    )
    @settings(max_examples=200)
    def test_any_octets_are_read_or_refused(self, compound: bytes) -> None:
        for datagram in (compound, RECEIVER + compound):
            try:
                rtcp.parse(datagram, reduced_size=True)
            except RemoteProtocolError as error:
                assert "RTCP" in str(error)  # noqa: PT017
