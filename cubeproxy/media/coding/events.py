"""Telephone events on their way through (RFC 4733): from packets to packets of another clock, or of our own.

An event keeps its digit and volume; its time stamp is where our own time line stands, its duration is counted in the
sink's clock. An event whose end is lost is ended when three packet times have passed without it (RFC 4733 2.5.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from cubeproxy.media.coding.speaker import MASK32, Out
from cubeproxy.protocols.telephone_event import LAST_COPIES, MAX_DURATION, TelephoneEvent

SILENT_PACKETS = 3


class EventSpeaker:
    """One event after another on the sink's side. Durations are in its clock, since the event began."""

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type
        self._timestamp = 0
        self._full = 0  # ticks in segments that are over
        self._marker = True

    def begin(self, timestamp: int) -> None:
        self._timestamp, self._full, self._marker = timestamp & MASK32, 0, True

    def update(self, event: int, volume: int, duration: int) -> list[Out]:
        out = self._segments(event, volume, duration)
        return [*out, self._packet(event, volume, duration - self._full)]

    def end(self, event: int, volume: int, duration: int, copies: int = LAST_COPIES) -> list[Out]:
        out = self._segments(event, volume, duration)
        return [*out, *(self._packet(event, volume, duration - self._full, end=True) for _ in range(copies))]

    def _segments(self, event: int, volume: int, duration: int) -> list[Out]:
        """The last packets of segments that are full (RFC 4733 2.5.1.3)."""
        out = []
        while duration - self._full > MAX_DURATION:
            out.append(self._packet(event, volume, MAX_DURATION))
            self._full += MAX_DURATION
            self._timestamp = (self._timestamp + MAX_DURATION) & MASK32
        return out

    def _packet(self, event: int, volume: int, duration: int, *, end: bool = False) -> Out:
        payload = TelephoneEvent(event, end, volume, duration).pack()
        marker, self._marker = self._marker, False
        return Out(self._payload_type, self._timestamp, payload, marker)


@dataclass(slots=True)
class Open:
    """The event that is coming in: where it began, what was heard of it, and when its next packet is overdue."""

    event: int
    volume: int
    timestamp: int  # of its segment
    full: int = 0  # ticks in segments before
    duration: int = 0
    heard_at: float = 0.0
    interval: float = 0.0  # s between its packets

    def heard(self, timestamp: int, duration: int, now: float, ptime: int) -> int:
        """Take a packet of it; its whole duration so far, in the sender's clock."""
        if timestamp != self.timestamp:
            self.full += MAX_DURATION
            self.timestamp = timestamp
        passed = now - self.heard_at if self.heard_at else 0.0
        self.interval = max(ptime / 1000, min(passed, 0.1))
        self.heard_at = now
        self.duration = max(self.duration, self.full + duration)
        return self.duration

    @property
    def deadline(self) -> float:
        return self.heard_at + SILENT_PACKETS * self.interval
