"""The clocks of SIP transactions: their lengths (RFC 3261 17, table 4; RFC 6026) and who is waiting.

Two rules. A machine never asks whether its transport is reliable: it is handed the `Delays` of that transport, where
a timer that must not run is `NEVER` and one that must end at once is 0. A stopped timer is really removed: everyone
who waits the same delay for the same timer stands in one lane, in order of arrival, so that starting, stopping and
firing cost the same at ten transactions and at fifty thousand, and nothing of a finished one stays behind.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from typing import Generic, TypeVar

NEVER = inf


@dataclass(slots=True, frozen=True)
class Delays:
    """The length of every timer on one kind of transport, in seconds. A, E and G are the first of a series."""

    a: float  # INVITE client: retransmission, doubles without limit
    b: float  # INVITE client: no answer
    d: float  # INVITE client: absorb retransmitted final answers
    e: float  # client: retransmission, doubles up to T2
    f: float  # client: no answer
    g: float  # INVITE server: retransmission of a 3xx-6xx, doubles up to T2
    h: float  # INVITE server: no ACK
    i: float  # INVITE server: absorb retransmitted ACKs
    j: float  # server: absorb retransmitted requests
    k: float  # client: absorb retransmitted final answers
    long: float  # L and M of RFC 6026: how long an accepted INVITE is remembered
    accepted: float  # retransmission of a 2xx, doubles up to T2, whatever the transport (RFC 3261 13.3.1.4)
    t2: float  # the limit of the doubling


@dataclass(slots=True, frozen=True)
class Timers:
    """T1, T2, T4 and timer D in seconds; everything else follows from them (RFC 3261 17, table 4)."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    d: float = 32.0

    def delays(self, reliable: bool) -> Delays:
        """What the transactions on a reliable (TCP, TLS) or an unreliable transport (UDP) wait."""
        t1, end = self.t1, 64 * self.t1
        return Delays(
            a=NEVER if reliable else t1,
            b=end,
            d=0.0 if reliable else self.d,
            e=NEVER if reliable else t1,
            f=end,
            g=NEVER if reliable else t1,
            h=end,
            i=0.0 if reliable else self.t4,
            j=0.0 if reliable else end,
            k=0.0 if reliable else self.t4,
            long=end,
            accepted=t1,
            t2=self.t2,
        )


Sleeper = TypeVar("Sleeper")  # what can wait: anything hashed by identity


class Lane(Generic[Sleeper]):
    """Everyone who waits `delay` seconds for `event`; the first to come is the first to be due."""

    __slots__ = ("delay", "event", "waiting")

    def __init__(self, event: IntEnum, delay: float) -> None:
        self.event = event
        self.delay = delay
        self.waiting: OrderedDict[Sleeper, float] = OrderedDict()  # whom, when


class Lanes(Generic[Sleeper]):
    """All the lanes of a transaction layer. `now` must not run backwards; where it does, alarms come late by as much.

    A lane stays when it is empty: there is one for each timer and each step of its back-off, some dozens in all.
    """

    __slots__ = ("_lanes", "_next", "_set")

    def __init__(self) -> None:
        self._lanes: dict[tuple[IntEnum, float], Lane[Sleeper]] = {}
        self._next = NEVER  # not later than the first alarm
        self._set = 0  # alarms

    def start(self, who: Sleeper, event: IntEnum, delay: float, now: float) -> Lane[Sleeper]:
        """Let `who` wait; the lane is what `stop` wants back. It must not wait in that lane already."""
        lane = self._lanes.get((event, delay))
        if lane is None:
            lane = self._lanes[event, delay] = Lane(event, delay)
        when = lane.waiting[who] = now + delay
        self._set += 1
        if when < self._next:  # noqa: PLR1730 - min() costs four times as much
            self._next = when
        return lane

    def stop(self, who: Sleeper, lane: Lane[Sleeper]) -> None:
        """Take `who` out of the lane, with nothing left behind."""
        del lane.waiting[who]
        self._set -= 1

    def due(self, now: float) -> Iterator[tuple[Sleeper, Lane[Sleeper]]]:
        """Take out, one by one, whose time has come. They may start and stop alarms meanwhile."""
        for lane in tuple(self._lanes.values()):
            while lane.waiting and next(iter(lane.waiting.values())) <= now:
                who, _ = lane.waiting.popitem(last=False)
                self._set -= 1
                yield who, lane
        heads = (next(iter(lane.waiting.values())) for lane in self._lanes.values() if lane.waiting)
        self._next = min(heads, default=NEVER)

    @property
    def deadline(self) -> float | None:
        """When to call again, None when nobody waits. May be early (its alarm was stopped since), never late."""
        return self._next if self._set else None

    def __len__(self) -> int:
        """How many alarms are set."""
        return self._set
