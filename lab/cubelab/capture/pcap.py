"""Packet capture files written from datagrams, without root.

The IP and UDP headers are synthesised: the wire knows addresses, ports and octets, and nothing else of a header is
evidence. Format: the classic little-endian pcap with raw IPv4 as its link type (LINKTYPE_RAW, 101).
"""

from __future__ import annotations

import struct
from pathlib import Path
from socket import inet_aton
from types import TracebackType
from typing import Self

from cubelab.wire.tap import Datagram

MAGIC = 0xA1B2C3D4  # microsecond time stamps
LINKTYPE_RAW = 101
SNAPLEN = 65535
_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_IP = struct.Struct("!BBHHHBBH4s4s")  # RFC 791 3.1
_UDP = struct.Struct("!HHHH")  # RFC 768


class PcapWriter:
    """Appends datagrams to a file; `write` is a tap."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self._file = path.open("wb")
        self._file.write(_FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW))

    def write(self, datagram: Datagram) -> None:
        packet = ip_packet(datagram, self.written & 0xFFFF)
        seconds, microseconds = divmod(round(datagram.time * 1_000_000), 1_000_000)
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
    source, destination = inet_aton(datagram.source[0]), inet_aton(datagram.destination[0])
    length = 8 + len(datagram.data)
    ports = (datagram.source[1], datagram.destination[1])
    pseudo = source + destination + struct.pack("!BBH", 0, 17, length)
    check = checksum(pseudo + _UDP.pack(*ports, length, 0) + datagram.data) or 0xFFFF  # RFC 768: 0 means none
    fields = (0x45, 0, 20 + length, identification, 0x4000, 64, 17)
    head = _IP.pack(*fields, 0, source, destination)
    head = _IP.pack(*fields, checksum(head), source, destination)
    return head + _UDP.pack(*ports, length, check) + datagram.data


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
