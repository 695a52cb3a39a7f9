"""Packet capture files written from what the lab forwards, without root.

IP, UDP and TCP headers are synthesised: the wire knows addresses, ports and octets, and nothing else of a header is
evidence. Format: the classic little-endian pcap with raw IPv4 as its link type (LINKTYPE_RAW, 101).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from socket import inet_aton
from types import TracebackType
from typing import Self

from cubelab.wire.tap import Datagram, Segment

MAGIC = 0xA1B2C3D4  # microsecond time stamps
LINKTYPE_RAW = 101
SNAPLEN = 65535
_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_IP = struct.Struct("!BBHHHBBH4s4s")  # RFC 791 3.1
_UDP = struct.Struct("!HHHH")  # RFC 768
_TCP = struct.Struct("!HHIIBBHHH")  # RFC 9293 3.1, no options
TCP, UDP = 6, 17
WINDOW = 65535


class PcapWriter:
    """Appends packets to a file; `write` is a tap for datagrams, `write_segment` one for segments.

    `secret`: a file for its owner's eyes alone, since keys stand in it.
    """

    def __init__(self, path: Path, *, secret: bool = False) -> None:
        self.path = path
        self.written = 0
        path.unlink(missing_ok=True)  # the mode is that of a new file
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644), "wb")
        self._file.write(_FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW))

    def write(self, datagram: Datagram) -> None:
        self._add(datagram.time, ip_packet(datagram, self.written & 0xFFFF))

    def write_segment(self, segment: Segment) -> None:
        self._add(segment.time, tcp_packet(segment, self.written & 0xFFFF))

    def _add(self, time: float, packet: bytes) -> None:
        seconds, microseconds = divmod(round(time * 1_000_000), 1_000_000)
        self._file.write(_RECORD_HEADER.pack(seconds, microseconds, len(packet), len(packet)) + packet)
        self.written += 1

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ip_packet(datagram: Datagram, identification: int = 0) -> bytes:
    """An IPv4 packet with a UDP datagram in it, both checksums right."""
    length = 8 + len(datagram.data)
    ports = (datagram.source[1], datagram.destination[1])
    hosts = (datagram.source[0], datagram.destination[0])
    head = _UDP.pack(*ports, length, 0)
    check = _transport_checksum(hosts, UDP, head + datagram.data) or 0xFFFF  # RFC 768: 0 means none
    return _ip(hosts, UDP, _UDP.pack(*ports, length, check) + datagram.data, identification)


def tcp_packet(segment: Segment, identification: int = 0) -> bytes:
    """An IPv4 packet with a TCP segment in it (RFC 9293 3.1), both checksums right."""
    ports = (segment.source[1], segment.destination[1])
    hosts = (segment.source[0], segment.destination[0])
    fields = (*ports, segment.sequence, segment.acknowledges, 5 << 4, segment.flags, WINDOW)
    check = _transport_checksum(hosts, TCP, _TCP.pack(*fields, 0, 0) + segment.data)
    return _ip(hosts, TCP, _TCP.pack(*fields, check, 0) + segment.data, identification)


def _ip(hosts: tuple[str, str], protocol: int, body: bytes, identification: int) -> bytes:
    source, destination = map(inet_aton, hosts)
    fields = (0x45, 0, _IP.size + len(body), identification, 0x4000, 64, protocol)
    head = _IP.pack(*fields, 0, source, destination)
    return _IP.pack(*fields, checksum(head), source, destination) + body


def _transport_checksum(hosts: tuple[str, str], protocol: int, body: bytes) -> int:
    """Over the pseudo header too (RFC 768, RFC 9293 3.1)."""
    source, destination = map(inet_aton, hosts)
    return checksum(source + destination + struct.pack("!BBH", 0, protocol, len(body)) + body)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
