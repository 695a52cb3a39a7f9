"""RTP packets, and which protocol a datagram on a media port speaks (RFC 3550 5, RFC 5761 4, RFC 7983 7).

This is the packet path: plain functions over bytes, one precompiled struct, no object where none is asked for.
`payload_span` and `build` are what a relay needs; `parse` is for whoever wants the fields.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from cubeproxy.protocols.errors import RemoteProtocolError

HEADER = struct.Struct("!BBHII")  # V/P/X/CC, M/PT, sequence, timestamp, SSRC
HEADER_OCTETS = 12
STUN_COOKIE = b"\x21\x12\xa4\x42"
COMFORT_NOISE = 13  # static payload type (RFC 3389); its first octet is the level in -dBov


class Kind(IntEnum):
    """What a datagram is, by its first octets. OTHER is to be dropped and counted."""

    OTHER = 0
    RTP = 1
    RTCP = 2
    STUN = 3
    DTLS = 4


def classify(datagram: bytes) -> Kind:
    """RFC 7983 7 for the first octet, RFC 5761 4 between RTP and RTCP, each with its least length.

    RTP must have its 12 octets, RTCP (and SRTCP) header and SSRC: a 4-octet "RTCP" packet is nothing.
    """
    length = len(datagram)
    if length < 8:
        return Kind.OTHER
    first = datagram[0]
    if first & 0xC0 == 0x80:
        if 192 <= datagram[1] <= 223:
            return Kind.RTCP
        return Kind.RTP if length >= HEADER_OCTETS else Kind.OTHER
    if first < 4:
        return Kind.STUN if length >= 20 and datagram[4:8] == STUN_COOKIE else Kind.OTHER
    return Kind.DTLS if 20 <= first <= 63 and length >= 13 else Kind.OTHER


def header_length(packet: bytes) -> int:
    """Octets before the payload: fixed header, CSRC list and extension. RemoteProtocolError if it does not fit."""
    length = len(packet)
    if length < HEADER_OCTETS:
        raise RemoteProtocolError("RTP: shorter than its header")
    first = packet[0]
    if first & 0xC0 != 0x80:
        raise RemoteProtocolError("RTP: not version 2")
    start = HEADER_OCTETS + (first & 0x0F) * 4
    if first & 0x10:
        if length < start + 4:
            raise RemoteProtocolError("RTP: extension header cut off")
        start += 4 + (packet[start + 2] << 8 | packet[start + 3]) * 4
    if start > length:
        raise RemoteProtocolError("RTP: header longer than the packet")
    return start


def payload_span(packet: bytes) -> tuple[int, int]:
    """Start and end of the payload of a clear packet, without padding."""
    start = header_length(packet)
    end = len(packet)
    if packet[0] & 0x20:
        padding = packet[-1]
        if not padding or end - padding < start:
            raise RemoteProtocolError("RTP: impossible padding")
        end -= padding
    return start, end


def build(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes | memoryview, *, marker: bool = False
) -> bytes:
    """A packet without CSRC, extension or padding. Sequence and timestamp are taken modulo their width."""
    second = payload_type | 0x80 if marker else payload_type
    return HEADER.pack(0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


class RtpPacket:
    """The fields of a packet. `extension` is (profile, octets), `padding` counts octets, the count octet included."""

    __slots__ = ("csrc", "extension", "marker", "padding", "payload", "payload_type", "sequence", "ssrc", "timestamp")

    def __init__(
        self,
        payload_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        *,
        marker: bool = False,
        csrc: tuple[int, ...] = (),
        extension: tuple[int, bytes] | None = None,
        padding: int = 0,
    ) -> None:
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.marker = marker
        self.csrc = csrc
        self.extension = extension
        self.padding = padding

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RtpPacket):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"RtpPacket(pt={self.payload_type}, seq={self.sequence}, ts={self.timestamp}, ssrc={self.ssrc:#010x}, "
            f"{len(self.payload)} octets{', marker' if self.marker else ''})"
        )

    @classmethod
    def parse(cls, packet: bytes) -> RtpPacket:
        """RemoteProtocolError when header, extension or padding do not fit the packet."""
        start, end = payload_span(packet)
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        parsed = cls(second & 0x7F, sequence, timestamp, ssrc, packet[start:end], marker=second > 0x7F)
        if first & 0x0F:
            parsed.csrc = struct.unpack_from(f"!{first & 0x0F}I", packet, HEADER_OCTETS)
        if first & 0x10:
            place = HEADER_OCTETS + (first & 0x0F) * 4
            parsed.extension = (packet[place] << 8 | packet[place + 1], packet[place + 4 : start])
        parsed.padding = len(packet) - end
        return parsed

    def serialise(self) -> bytes:
        """ValueError when a field does not fit its width: that is a mistake of ours."""
        first = 0x80 | (0x20 if self.padding else 0) | (0x10 if self.extension else 0) | len(self.csrc)
        if len(self.csrc) > 15 or not 0 <= self.payload_type < 128 or not 0 <= self.padding < 256:
            raise ValueError("RTP: a field that does not fit")
        parts = [
            HEADER.pack(first, self.payload_type | self.marker << 7, self.sequence, self.timestamp, self.ssrc),
            struct.pack(f"!{len(self.csrc)}I", *self.csrc),
        ]
        if self.extension:
            profile, octets = self.extension
            if len(octets) % 4:
                raise ValueError("RTP: extension is counted in words")
            parts += [struct.pack("!HH", profile, len(octets) // 4), octets]
        parts.append(self.payload)
        if self.padding:
            parts.append(bytes(self.padding - 1) + bytes((self.padding,)))
        return b"".join(parts)
