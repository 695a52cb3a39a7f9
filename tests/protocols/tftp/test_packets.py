"""TFTP datagrams: octets of the RFCs, round trips, and octets that were made to hurt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.tftp import Ack, Data, Error, OptionAck, Packet, Request, parse_packet

words = st.text(
    st.characters(codec="ascii", exclude_characters="\0", exclude_categories=["Lu"]), min_size=1, max_size=9
)
options = st.dictionaries(words, words, max_size=4)
blocks = st.integers(0, 65535)
packets = st.one_of(
    st.builds(Request, words, words, options, st.booleans()),
    st.builds(Data, blocks, st.binary(max_size=40)),
    st.builds(Ack, blocks),
    st.builds(Error, blocks, words),
    st.builds(OptionAck, options),
)


@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (b"\0\1SEP001122334455.cnf.xml\0octet\0", Request("SEP001122334455.cnf.xml")),
        (
            b"\0\1a/b.xml\0OCTET\0BLKSIZE\0" + b"1428\0tsize\x000\0",
            Request("a/b.xml", options={"blksize": "1428", "tsize": "0"}),
        ),
        (b"\0\1x\0octet\0\0\0\0", Request("x")),
        (b"\0\2x\0netascii\0", Request("x", "netascii", write=True)),
        (b"\0\3\xff\xffabc", Data(65535, b"abc")),
        (b"\0\4\0\0", Ack(0)),
        (b"\0\5\0\1File not found\0", Error(1, "File not found")),
        (b"\0\5\0\0", Error(0, "")),
        (b"\0\6blksize\x00512\0", OptionAck({"blksize": "512"})),
    ],
)
def test_known_octets(data: bytes, packet: Packet) -> None:
    assert parse_packet(data) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\7",
        b"\0\3\0",
        b"\0\4",
        b"\0\5\0",
        b"\0\1",
        b"\0\1name",
        b"\0\1name\0",
        b"\0\1name\0octet",
        b"\0\1\0octet\0",
        b"\0\1x\0octet\0blksize\0",
        b"\0\1x\0octet\0a\x001\0A\x002\0",
        b"\0\1x\0octet\0" + b"".join(b"o%d\0v\0" % n for n in range(17)),
        b"\0\1" + b"x" * 511 + b"\0octet\0",
        b"\0\6a\0",
        b"\0\6" + b"a\0" * 256,
    ],
)
def test_what_is_no_tftp(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_packet(data)


@given(packets)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(packet: Packet) -> None:
    assert parse_packet(packet.serialise()) == packet


@given(st.integers(0, 7), st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_hostile_octets_are_the_peers_fault(opcode: int, rest: bytes) -> None:
    try:
        parse_packet(opcode.to_bytes(2, "big") + rest)
    except RemoteProtocolError:
        return
