"""Samples into packets of one codec, on a time line of our own (RFC 3550 5.1, RFC 3551 4.1).

Every packet is full. The time stamp counts samples in the codec's RTP clock, also over those that are left out; the
first packet after such a gap has the marker.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from cubeproxy.media.codecs.base import Encoder, Pcm, silence

MASK32 = 0xFFFFFFFF


@dataclass(slots=True)
class Out:
    """A packet to send, without sequence number and SSRC."""

    payload_type: int
    timestamp: int
    payload: bytes
    marker: bool = False


class Speaker:
    """`timestamp` is that of the next packet."""

    def __init__(self, encoder: Encoder, clock: int, payload_type: int, timestamp: int) -> None:
        self.encoder = encoder
        self.clock = clock
        self.timestamp = timestamp
        self._payload_type = payload_type
        self._need = encoder.rate * encoder.ptime // 1000
        self._step = clock * encoder.ptime // 1000
        self._samples: Pcm = array("h")
        self._ahead = 0  # ticks that padding has brought us before our time
        self._marker = True

    def add(self, pcm: Pcm) -> list[Out]:
        """The packets that are full with these samples, which are at the encoder's rate."""
        samples, need = self._samples, self._need
        samples.extend(pcm)
        out = []
        start = 0
        while len(samples) - start >= need:
            payload = self.encoder.encode(samples[start : start + need])
            start += need
            if payload:
                out.append(Out(self._payload_type, self.timestamp, payload, self._marker))
                self._marker = False
            self.timestamp = (self.timestamp + self._step) & MASK32
        del samples[:start]
        return out

    def flush(self) -> list[Out]:
        """What is left, filled up with silence."""
        rest = len(self._samples)
        if not rest:
            return []
        missing = self._need - rest
        self._ahead += missing * self.clock // self.encoder.rate
        return self.add(silence(missing))

    def skip(self, ticks: int) -> list[Out]:
        """Nothing is said for so many ticks of the clock."""
        out = self.flush()
        used = min(ticks, self._ahead)
        self._ahead -= used
        self.timestamp = (self.timestamp + ticks - used) & MASK32
        self._marker = True
        return out
