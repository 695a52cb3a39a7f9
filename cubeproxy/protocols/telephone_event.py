"""Telephone events, DTMF in RTP (RFC 4733): the payload, a machine that hears each digit once, and its sender.

An event is many packets with one RTP timestamp: updates while the key is down, and three copies of the last
one. Any of them may be lost. A digit is reported when its first packet arrives, whichever that is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from cubeproxy.protocols.errors import RemoteProtocolError

DIGITS = "0123456789*#ABCD"  # by event code (RFC 4733 3.2)
MAX_DURATION = 0xFFFF  # timestamp units; a longer event goes on in a next segment (RFC 4733 2.5.1.3)
LAST_COPIES = 3  # RFC 4733 2.5.1.4

_PAYLOAD = struct.Struct("!BBH")


class TelephoneEvent(NamedTuple):
    """One event payload. `volume` in -dBm0 (0..63), `duration` in timestamp units since the event began."""

    event: int
    end: bool
    volume: int
    duration: int

    @property
    def digit(self) -> str:
        """The key, or "" for an event that is no digit."""
        return DIGITS[self.event] if self.event < len(DIGITS) else ""

    def pack(self) -> bytes:
        return _PAYLOAD.pack(self.event, self.end << 7 | self.volume & 0x3F, self.duration)

    @classmethod
    def parse(cls, payload: bytes) -> TelephoneEvent:
        """The first event of a payload (others repeat older ones). RemoteProtocolError for less than 4 octets."""
        if len(payload) < _PAYLOAD.size:
            raise RemoteProtocolError("telephone-event: shorter than 4 octets")
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(event, flags > 0x7F, flags & 0x3F, duration)


@dataclass(slots=True)
class Started:
    """A key went down."""

    event: TelephoneEvent


@dataclass(slots=True)
class Ended:
    """It came up. `duration` in timestamp units, all segments together."""

    event: TelephoneEvent
    duration: int


Output = Started | Ended


class State(IntEnum):
    IDLE = 0  # no event so far, or the last one has ended
    ACTIVE = 1


class Input(IntEnum):
    NEW = 0  # a later timestamp that continues nothing
    NEW_LAST = 1  # the same, and the end bit is set
    NEXT_SEGMENT = 2  # the event goes on under a new timestamp
    NEXT_SEGMENT_LAST = 3
    UPDATE = 4  # the same timestamp
    LAST = 5
    STALE = 6  # an earlier timestamp
    LOST = 7  # nothing came for too long


class EventReceiver:
    """Hears the events of one stream. `receive` for every packet of the payload type, in the order of arrival.

    A key that is released without any of its last packets ends with the next key, or by `lost()`, which the
    owner calls when nothing came for some packet times (RFC 4733 2.5.2.2 suggests three).
    """

    __slots__ = ("_before", "_event", "_timestamp", "state")

    def __init__(self) -> None:
        self.state = State.IDLE
        self._event = TelephoneEvent(0, False, 0, 0)
        self._timestamp: int | None = None
        self._before = 0  # timestamp units in finished segments

    def receive(self, timestamp: int, payload: bytes) -> list[Output]:
        """RemoteProtocolError for a payload that is none."""
        event = TelephoneEvent.parse(payload)
        return self._step(self._classify(timestamp, event), timestamp, event)

    def lost(self) -> list[Output]:
        return self._step(Input.LOST, self._timestamp or 0, self._event)

    def _classify(self, timestamp: int, event: TelephoneEvent) -> Input:
        if self._timestamp is None:
            return Input.NEW_LAST if event.end else Input.NEW
        ahead = (timestamp - self._timestamp) & 0xFFFFFFFF
        if not ahead:
            return Input.LAST if event.end else Input.UPDATE
        if ahead >= 0x80000000:
            return Input.STALE
        # The next segment begins where the full one ends.
        if event.event == self._event.event and ahead == MAX_DURATION:
            return Input.NEXT_SEGMENT_LAST if event.end else Input.NEXT_SEGMENT
        return Input.NEW_LAST if event.end else Input.NEW

    def _step(self, received: Input, timestamp: int, event: TelephoneEvent) -> list[Output]:
        action, self.state = TRANSITIONS[self.state, received]
        return action(self, timestamp, event)

    def _begin(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        self._timestamp, self._event, self._before = timestamp, event, 0
        return [Started(event)]

    def _begin_and_end(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        return self._begin(timestamp, event) + self._end(timestamp, event)

    def _end_and_begin(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        return self._finish(timestamp, event) + self._begin(timestamp, event)

    def _end_begin_and_end(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        return self._finish(timestamp, event) + self._begin_and_end(timestamp, event)

    def _update(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        if event.duration > self._event.duration:  # packets may overtake each other
            self._event = event
        return []

    def _end(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        self._update(timestamp, event)
        return self._finish(timestamp, event)

    def _finish(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        """End the event that is open, with what was heard of it."""
        return [Ended(self._event, self._before + self._event.duration)]

    def _continue(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        self._before += MAX_DURATION
        self._timestamp, self._event = timestamp, event
        return []

    def _continue_and_end(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        self._continue(timestamp, event)
        return self._finish(timestamp, event)

    def _ignore(self, timestamp: int, event: TelephoneEvent) -> list[Output]:
        return []


Action = Callable[[EventReceiver, int, TelephoneEvent], list[Output]]
_r = EventReceiver

TRANSITIONS: Mapping[tuple[State, Input], tuple[Action, State]] = {
    (State.IDLE, Input.NEW): (_r._begin, State.ACTIVE),
    (State.IDLE, Input.NEW_LAST): (_r._begin_and_end, State.IDLE),
    (State.IDLE, Input.NEXT_SEGMENT): (_r._begin, State.ACTIVE),  # the one before has ended: a new key after all
    (State.IDLE, Input.NEXT_SEGMENT_LAST): (_r._begin_and_end, State.IDLE),
    (State.IDLE, Input.UPDATE): (_r._ignore, State.IDLE),  # overtaken by its last packet
    (State.IDLE, Input.LAST): (_r._ignore, State.IDLE),  # second and third copy
    (State.IDLE, Input.STALE): (_r._ignore, State.IDLE),
    (State.IDLE, Input.LOST): (_r._ignore, State.IDLE),
    (State.ACTIVE, Input.NEW): (_r._end_and_begin, State.ACTIVE),
    (State.ACTIVE, Input.NEW_LAST): (_r._end_begin_and_end, State.IDLE),
    (State.ACTIVE, Input.NEXT_SEGMENT): (_r._continue, State.ACTIVE),
    (State.ACTIVE, Input.NEXT_SEGMENT_LAST): (_r._continue_and_end, State.IDLE),
    (State.ACTIVE, Input.UPDATE): (_r._update, State.ACTIVE),
    (State.ACTIVE, Input.LAST): (_r._end, State.IDLE),
    (State.ACTIVE, Input.STALE): (_r._ignore, State.ACTIVE),
    (State.ACTIVE, Input.LOST): (_r._finish, State.IDLE),
}


def packets(digit: str, *, duration: int = 100, ptime: int = 20, clock: int = 8000, volume: int = 10) -> list[bytes]:
    """The payloads of one key press, one to send every `ptime` ms, all under the timestamp of the first.

    `duration` in ms, at most 8 s at 8000 Hz. The first packet carries the marker bit. ValueError for no digit.
    """
    event = DIGITS.index(digit.upper())
    step, total = clock * ptime // 1000, clock * duration // 1000
    if not 0 < total <= MAX_DURATION:
        raise ValueError("telephone-event: duration does not fit one segment")
    updates = [TelephoneEvent(event, False, volume, heard).pack() for heard in range(step, total, step)]
    return [*updates, *[TelephoneEvent(event, True, volume, total).pack()] * LAST_COPIES]
