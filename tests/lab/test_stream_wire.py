"""The TCP wire passes every octet from the address it was given, and its capture is a stream that others read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.utils import rdpcap

from cubelab.capture.pcap import PcapWriter, tcp_packet
from cubelab.demo.farm import damage
from cubelab.eavesdropper.sccp import read_sccp
from cubelab.wire.conversation import ACK, FIN, LARGEST, PSH, SYN, Conversation
from cubelab.wire.stream_wire import StreamWire, unchanged
from cubelab.wire.tap import Segment
from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.media_messages import OpenReceiveChannel, StartMediaTransmission
from cubeproxy.protocols.sccp.messages import (
    CapabilitiesResponse,
    KeepAlive,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    UnregisterRequest,
)
from cubeproxy.protocols.sccp.registry import Message, encode
from cubeproxy.protocols.suites import MasterKey, Suite

CLIENT, SERVER = ("127.42.7.1", 40000), ("127.42.7.2", 2000)
BOX, WIRE = "127.42.8.1", "127.42.8.2"
KEY = MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes(range(1, 31)))

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def segments(*said: tuple[bool, bytes], closed: bool = True) -> list[Segment]:
    found: list[Segment] = []
    talk = Conversation(CLIENT, SERVER, found.append, lambda: 1_700_000_000.0)
    for by_client, data in said:
        talk.said(data, by_client=by_client)
    if closed:
        talk.closed(by_client=True)
        talk.closed(by_client=False)
        talk.closed(by_client=True)
    return found


def capture(path: Path, *said: tuple[bool, bytes]) -> Path:
    with PcapWriter(path) as writer:
        for segment in segments(*said):
            writer.write_segment(segment)
    return path


# a conversation as segments


def test_a_conversation_is_opened_numbered_acknowledged_and_closed():
    found = segments((True, b"abc"), (False, b"de"), (True, b"f"))
    first = found[0].sequence
    assert [(one.source, one.flags, one.sequence - first, one.data) for one in found] == [
        (CLIENT, SYN, 0, b""), (SERVER, SYN | ACK, 0, b""), (CLIENT, ACK, 1, b""),
        (CLIENT, PSH | ACK, 1, b"abc"), (SERVER, PSH | ACK, 1, b"de"), (CLIENT, PSH | ACK, 4, b"f"),
        (CLIENT, FIN | ACK, 5, b""), (SERVER, ACK, 3, b""), (SERVER, FIN | ACK, 3, b""), (CLIENT, ACK, 6, b""),
    ]  # fmt: skip
    assert [one.acknowledges - first for one in found[1:]] == [1, 1, 1, 4, 3, 3, 6, 6, 4]


def test_what_no_packet_can_hold_is_several():
    data = bytes(LARGEST) + b"rest"
    assert [one.data for one in segments((True, data), closed=False)[3:]] == [bytes(LARGEST), b"rest"]


@given(
    data=st.binary(max_size=1460),
    ports=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    hosts=st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    numbers=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    flags=st.sampled_from([SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK]),
)
def test_synthesised_headers_are_what_scapy_would_write(data, ports, hosts, numbers, flags):
    made = tcp_packet(Segment(0, (str(hosts[0]), ports[0]), (str(hosts[1]), ports[1]), *numbers, flags, data), 77)
    head = IP(src=str(hosts[0]), dst=str(hosts[1]), id=77, flags="DF", ttl=64)
    tcp = TCP(sport=ports[0], dport=ports[1], seq=numbers[0], ack=numbers[1], flags=flags, window=65535)
    assert made == bytes(head / tcp / data)


# the wire


async def joined(tap: list[Segment], serve: Serve, change=unchanged) -> tuple[StreamWire, asyncio.Server]:
    server = await asyncio.start_server(serve, BOX, 0)
    wire = StreamWire(server.sockets[0].getsockname()[:2], BOX, change)
    wire.taps.append(tap.append)
    await wire.start((WIRE, 0))
    return wire, server


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(writer.get_extra_info("peername")[0].encode() + b":" + data)
    writer.close()


def play(scene: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 20))  # type: ignore[arg-type]


def test_it_connects_from_the_given_address_and_tells_every_octet():
    async def scene() -> None:
        tap: list[Segment] = []
        wire, server = await joined(tap, echo)
        reader, writer = await asyncio.open_connection(*wire.address, local_addr=("127.42.8.9", 0))
        writer.write(b"hello")
        assert await reader.readexactly(len(BOX) + 6) == f"{BOX}:hello".encode()
        writer.write_eof()  # a half-close travels on, and comes back
        assert await reader.read() == b""
        await wire.close()
        server.close()
        assert {one.source[0] for one in tap} == {BOX}
        assert {wire.server} < {one.destination for one in tap}
        said = [(one.destination == wire.server, one.data) for one in tap if one.data]
        assert said == [(True, b"hello"), (False, f"{BOX}:hello".encode())]
        assert [one.flags for one in tap if one.flags & (SYN | FIN)] == [SYN, SYN | ACK, FIN | ACK, FIN | ACK]

    play(scene())


def test_a_server_that_is_not_there_is_a_closed_connection():
    async def scene() -> None:
        tap: list[Segment] = []
        wire, server = await joined(tap, echo)
        server.close()
        await server.wait_closed()
        reader, _ = await asyncio.open_connection(*wire.address)
        assert await reader.read() == b""
        assert tap == []
        await wire.close()

    play(scene())


def test_closing_the_wire_ends_what_it_carries():
    async def scene() -> None:
        tap: list[Segment] = []
        wire, server = await joined(tap, echo)
        reader, writer = await asyncio.open_connection(*wire.address)
        writer.write(b"x")
        await reader.readexactly(len(BOX) + 2)
        await wire.close()
        assert await reader.read() == b""
        assert [bool(one.flags & FIN) for one in tap].count(True) == 2
        server.close()

    play(scene())


# what stands in a capture


def media(kind: type[Message], key: MasterKey | None, party: int) -> bytes:
    return encode(kind(conference=5, party=party, encryption=MediaEncryption.of(key)), 17)  # type: ignore[call-arg]


REGISTRATION = encode(RegisterRequest(device="CUBEXCODE", max_streams=48))


@pytest.mark.parametrize("piece", [1, 7, 100, 5000])
def test_a_capture_is_read_whatever_the_segments(tmp_path: Path, piece: int):
    farm = REGISTRATION + encode(CapabilitiesResponse(), 17) + encode(UnregisterRequest(), 17)
    manager = encode(RegisterAck(protocol_version=17)) + media(OpenReceiveChannel, KEY, 1)
    manager += media(StartMediaTransmission, None, 2)
    said = [
        (who, text[at : at + piece])
        for who, text in ((True, farm), (False, manager))
        for at in range(0, len(text), piece)
    ]
    seen = read_sccp(capture(tmp_path / "a.pcap", *said))
    assert (seen.farm, seen.sessions, seen.version, seen.unregistered) == ("CUBEXCODE", 24, 17, True)
    assert [(one.opens, one.conference, one.party, one.key) for one in seen.channels] == [
        (True, 5, 1, KEY),
        (False, 5, 2, None),
    ]
    assert (seen.total, seen.unreadable) == (6, [])
    assert KEY.master.hex() not in repr(seen)


def test_a_refused_farm_and_its_reason_are_read(tmp_path: Path):
    reject = encode(RegisterReject("no sdspfarm tag with this name"))
    seen = read_sccp(capture(tmp_path / "a.pcap", (True, REGISTRATION), (False, reject)))
    assert (seen.version, seen.refusal) == (None, "no sdspfarm tag with this name")


@pytest.mark.parametrize(
    ("octets", "trouble"),
    [
        (REGISTRATION[:-1], "a message is cut off"),
        (b"\x04\0\0\0\0\0\0\0\x77\x77\0\0", "message 0x7777 is unknown"),
        (b"GET / HTTP/1.1\r\n", "this is no SCCP stream"),
        (encode(RegisterAck())[:-4].replace(b"\x18", b"\x14", 1), "RegisterAck"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, octets: bytes, trouble: str):
    assert trouble in " ".join(read_sccp(capture(tmp_path / "a.pcap", (True, octets))).unreadable)


def test_a_lost_segment_is_told(tmp_path: Path):
    whole = segments((True, REGISTRATION), (True, encode(KeepAlive(), 17)), (True, encode(KeepAlive(), 17)))
    with PcapWriter(tmp_path / "a.pcap") as writer:
        for number, segment in enumerate(whole):
            if number != 4:
                writer.write_segment(segment)
    assert any("octets are missing" in one for one in read_sccp(tmp_path / "a.pcap").unreadable)


def test_headers_and_order_are_those_of_the_segments(tmp_path: Path):
    read = rdpcap(str(capture(tmp_path / "a.pcap", (True, b"one"), (False, b"two"))))
    assert [bytes(p[TCP].payload) for p in read if p[TCP].payload] == [b"one", b"two"]
    assert all(int(p[IP].len) == len(p) for p in read)


def test_a_capture_with_keys_is_for_its_owner_alone(tmp_path: Path):
    (tmp_path / "a.pcap").touch(0o644)
    PcapWriter(tmp_path / "a.pcap", secret=True).close()
    assert (tmp_path / "a.pcap").stat().st_mode & 0o777 == 0o600


def test_the_fault_changes_one_bit_of_each_key_that_the_farm_sends_with():
    pieces = [
        media(OpenReceiveChannel, KEY, 1),
        media(StartMediaTransmission, KEY, 1),
        media(StartMediaTransmission, None, 2),
    ]
    whole = b"".join(pieces) + pieces[1]
    changed = damage(whole, False)
    assert damage(whole, True) == whole
    differing = [at for at, (old, new) in enumerate(zip(whole, changed, strict=True)) if old != new]
    first = len(pieces[0]) + whole[len(pieces[0]) :].index(KEY.master[:16])
    assert differing == [first, first + len(pieces[1]) + len(pieces[2])]
    assert bin(whole[first] ^ changed[first]).count("1") == 1
