"""RTCP: compound packets, sender and receiver reports, CNAME, BYE (RFC 3550 6).

`split` holds the length rules of RFC 3550 A.2 to the octet; everything else stands on what it returns.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cubeproxy.protocols.errors import RemoteProtocolError

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE, APPLICATION = 200, 201, 202, 203, 204

_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_CNAME = 1
_MAX_BLOCKS = 31


class RtcpPacket(NamedTuple):
    """One packet of a compound: `entries` is the five-bit count, `body` everything after the first word, no padding."""

    type: int
    entries: int
    body: bytes


@dataclass(slots=True)
class ReportBlock:
    """What one receiver tells of one source (RFC 3550 6.4.1)."""

    ssrc: int
    fraction_lost: int = 0  # of 256, since the last report
    lost: int = 0  # packets, signed
    highest: int = 0  # extended highest sequence number
    jitter: int = 0  # timestamp units
    last_sr: int = 0  # middle 32 bits of the NTP time of the last sender report, 0 when none came
    delay: int = 0  # since then, in 1/65536 s


@dataclass(slots=True)
class SenderReport:
    ssrc: int
    ntp: int  # 64-bit NTP time
    timestamp: int  # RTP time of the same instant
    packets: int
    octets: int
    blocks: list[ReportBlock] = field(default_factory=list)


@dataclass(slots=True)
class ReceiverReport:
    ssrc: int
    blocks: list[ReportBlock] = field(default_factory=list)


@dataclass(slots=True)
class SourceDescription:
    """The CNAME of one source; other items are not read."""

    ssrc: int
    cname: str


@dataclass(slots=True)
class Goodbye:
    ssrcs: list[int]


Report = SenderReport | ReceiverReport | SourceDescription | Goodbye


def split(compound: bytes, *, reduced_size: bool = False) -> list[RtcpPacket]:
    """The packets of a datagram. RemoteProtocolError unless the lengths add up to the last octet.

    The first packet must be a report (RFC 3550 6.1), unless `reduced_size` allows any (RFC 5506). Only the last
    packet may be padded.
    """
    packets: list[RtcpPacket] = []
    place, total = 0, len(compound)
    while place < total:
        if total - place < 8:
            raise RemoteProtocolError("RTCP: packet without room for header and SSRC")
        first, kind, words = _HEADER.unpack_from(compound, place)
        end = place + 4 + words * 4
        if first & 0xC0 != 0x80 or not 192 <= kind <= 223:
            raise RemoteProtocolError("RTCP: not version 2, or no RTCP type")
        if words < 1 or end > total:
            raise RemoteProtocolError("RTCP: length does not fit the datagram")
        body = compound[place + 4 : end]
        if first & 0x20:
            body = _unpad(body, last=end == total)
        packets.append(RtcpPacket(kind, first & 0x1F, body))
        place = end
    if not packets or (not reduced_size and packets[0].type not in (SENDER_REPORT, RECEIVER_REPORT)):
        raise RemoteProtocolError("RTCP: does not begin with a report")
    return packets


def _unpad(body: bytes, *, last: bool) -> bytes:
    count = body[-1]
    if not last or not count or count % 4 or count > len(body) - 4:
        raise RemoteProtocolError("RTCP: impossible padding")
    return body[:-count]


def parse(compound: bytes, *, reduced_size: bool = False) -> list[Report]:
    """The reports of a datagram in order; packet types that we do not know are left out."""
    reports: list[Report] = []
    for packet in split(compound, reduced_size=reduced_size):
        reader = _READERS.get(packet.type)
        report = reader(packet) if reader else None
        if report is not None:
            reports.append(report)
    return reports


def serialise(*reports: Report) -> bytes:
    """A compound packet in the order given."""
    return b"".join(_write(report) for report in reports)


def _read_sender(packet: RtcpPacket) -> SenderReport:
    if len(packet.body) < _SENDER.size:
        raise RemoteProtocolError("RTCP: sender report cut off")
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(packet.body)
    return SenderReport(ssrc, ntp, timestamp, packets, octets, _read_blocks(packet, _SENDER.size))


def _read_receiver(packet: RtcpPacket) -> ReceiverReport:
    return ReceiverReport(_ssrcs(packet.body, 1)[0], _read_blocks(packet, 4))


def _read_blocks(packet: RtcpPacket, start: int) -> list[ReportBlock]:
    """Report blocks; what follows them is a profile's extension and not read."""
    if len(packet.body) < start + packet.entries * _BLOCK.size:
        raise RemoteProtocolError("RTCP: report blocks cut off")
    blocks = []
    for place in range(start, start + packet.entries * _BLOCK.size, _BLOCK.size):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(packet.body, place)
        lost = (loss & 0xFFFFFF) - (loss << 1 & 0x1000000)
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
    return blocks


def _read_description(packet: RtcpPacket) -> SourceDescription | None:
    """The CNAME of the first chunk; None for a packet without one."""
    if not packet.entries:
        return None
    ssrc, body, place = _ssrcs(packet.body, 1)[0], packet.body, 4
    while place < len(body) and body[place]:
        end = place + 2 + (body[place + 1] if place + 1 < len(body) else len(body))
        if end > len(body):
            raise RemoteProtocolError("RTCP: source description cut off")
        if body[place] == _CNAME:
            return SourceDescription(ssrc, body[place + 2 : end].decode("utf-8", "replace"))
        place = end
    return None


def _read_goodbye(packet: RtcpPacket) -> Goodbye:
    return Goodbye(_ssrcs(packet.body, packet.entries))


def _ssrcs(body: bytes, count: int) -> list[int]:
    if len(body) < count * 4:
        raise RemoteProtocolError("RTCP: source list cut off")
    return list(struct.unpack_from(f"!{count}I", body))


_READERS: Mapping[int, Callable[[RtcpPacket], Report | None]] = {
    SENDER_REPORT: _read_sender,
    RECEIVER_REPORT: _read_receiver,
    SOURCE_DESCRIPTION: _read_description,
    GOODBYE: _read_goodbye,
}


def _write(report: Report) -> bytes:
    if isinstance(report, SenderReport):
        head = _SENDER.pack(report.ssrc, report.ntp, report.timestamp, report.packets, report.octets)
        return _packet(SENDER_REPORT, len(report.blocks), head + _write_blocks(report.blocks))
    if isinstance(report, ReceiverReport):
        body = struct.pack("!I", report.ssrc) + _write_blocks(report.blocks)
        return _packet(RECEIVER_REPORT, len(report.blocks), body)
    if isinstance(report, SourceDescription):
        name = report.cname.encode()
        if len(name) > 255:
            raise ValueError("RTCP: CNAME longer than 255 octets")
        items = bytes((_CNAME, len(name))) + name
        return _packet(SOURCE_DESCRIPTION, 1, struct.pack("!I", report.ssrc) + items + bytes(4 - len(items) % 4))
    return _packet(GOODBYE, len(report.ssrcs), struct.pack(f"!{len(report.ssrcs)}I", *report.ssrcs))


def _write_blocks(blocks: list[ReportBlock]) -> bytes:
    return b"".join(
        _BLOCK.pack(b.ssrc, b.fraction_lost << 24 | b.lost & 0xFFFFFF, b.highest, b.jitter, b.last_sr, b.delay)
        for b in blocks
    )


def _packet(kind: int, count: int, body: bytes) -> bytes:
    if count > _MAX_BLOCKS:
        raise ValueError("RTCP: more than 31 entries in a packet")
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
