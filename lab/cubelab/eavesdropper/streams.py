"""Finds RTP in a capture, with scapy alone: what a stranger with the packets and nothing else can see.

Nothing here knows a key, a call or a port. A flow is taken for RTP when its headers behave like it: version 2, one
SSRC, one payload type, sequence numbers that walk.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.rtp import RTP
from scapy.utils import PcapReader

from cubeproxy.protocols.values import Address

FEWEST = 10  # packets that make a stream
GAP = 50  # sequence numbers that a stream may jump


@dataclass(slots=True)
class Stream:
    """One RTP stream of a capture. `packets`: sequence number -> what stands behind the RTP header, in clear or not."""

    source: Address
    destination: Address
    ssrc: int
    payload_type: int
    packets: dict[int, bytes] = field(default_factory=dict)
    jumps: int = 0
    _last: int | None = None

    def take(self, sequence: int, payload: bytes) -> None:
        if self._last is not None and not 0 < (sequence - self._last) % 65536 <= GAP:
            self.jumps += 1
        self._last = sequence
        self.packets[sequence] = payload

    @property
    def plausible(self) -> bool:
        return len(self.packets) >= FEWEST and self.jumps <= len(self.packets) // 4

    @property
    def payloads(self) -> list[bytes]:
        """In the order of arrival of each number's first packet; good enough for a wire of a lab."""
        return list(self.packets.values())

    def __str__(self) -> str:
        ends = f"{self.source[0]}:{self.source[1]} > {self.destination[0]}:{self.destination[1]}"
        return f"{ends} SSRC {self.ssrc:08x} PT {self.payload_type}, {len(self.packets)} packets"


@dataclass(slots=True)
class Capture:
    """All UDP datagrams of a capture file, and the RTP streams in them."""

    datagrams: int
    streams: list[Stream]


def read_capture(path: Path) -> Capture:
    """Read a pcap file and find its RTP streams."""
    found: dict[tuple[Address, Address, int, int], Stream] = {}
    counted: dict[str, int] = defaultdict(int)
    with PcapReader(str(path)) as packets:
        for packet in packets:
            if UDP not in packet:
                continue
            counted["udp"] += 1
            rtp = _as_rtp(bytes(packet[UDP].payload))
            if rtp is None:
                continue
            ends = ((packet[IP].src, packet[UDP].sport), (packet[IP].dst, packet[UDP].dport))
            stream = found.setdefault(
                (*ends, rtp.sourcesync, rtp.payload_type), Stream(*ends, rtp.sourcesync, rtp.payload_type)
            )
            stream.take(rtp.sequence, bytes(rtp.payload))
    return Capture(counted["udp"], [stream for stream in found.values() if stream.plausible])


def _as_rtp(data: bytes) -> RTP | None:
    """The datagram as an RTP packet, if its header could be one. RTCP is none (RFC 5761 4)."""
    if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
        return None
    try:
        return RTP(data)
    except Exception:  # scapy raises whatever a cut-off header or extension makes it stumble over
        return None
