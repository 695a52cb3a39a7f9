"""Deadlines of many connections without a timer for each.

Two shapes: `Aging` for a delay that is the same for all and is cancelled often (first octet, handshake, partial
message), `Idle` for one that is put off by every message, where putting it off must cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")


class Aging(Generic[K]):
    """Keys in the order in which they began, each with the same time to live."""

    __slots__ = ("_started", "delay")

    def __init__(self, delay: float) -> None:
        self.delay = delay  # s
        self._started: dict[K, float] = {}  # dicts keep insertion order: the first is the oldest

    def __contains__(self, key: K) -> bool:
        return key in self._started

    def __len__(self) -> int:
        return len(self._started)

    def start(self, key: K, now: float) -> None:
        """Begin the key's time; a key that is already running is not prolonged."""
        if key not in self._started:
            self._started[key] = now

    def stop(self, key: K) -> None:
        self._started.pop(key, None)

    def oldest(self) -> K | None:
        return next(iter(self._started), None)

    def expired(self, now: float) -> list[K]:
        """Take out and return the keys whose time is over."""
        over: list[K] = []
        for key, began in self._started.items():
            if began + self.delay > now:
                break
            over.append(key)
        for key in over:
            del self._started[key]
        return over

    @property
    def deadline(self) -> float | None:
        for began in self._started.values():
            return began + self.delay
        return None


class Idle(Generic[K]):
    """Keys that live as long as they are used. The owner notes the time of the last use; we look once per period."""

    __slots__ = ("_due", "_last_used", "delay")

    def __init__(self, delay: float, last_used: Callable[[K], float]) -> None:
        self.delay = delay
        self._last_used = last_used
        self._due: dict[K, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def start(self, key: K, now: float) -> None:
        self._due[key] = now + self.delay

    def stop(self, key: K) -> None:
        self._due.pop(key, None)

    def expired(self, now: float) -> list[K]:
        """Take out and return keys unused for `delay` seconds; one may be found up to `delay` seconds late."""
        looked: list[K] = []
        for key, due in self._due.items():
            if due > now:
                break
            looked.append(key)
        over: list[K] = []
        for key in looked:
            del self._due[key]
            due = self._last_used(key) + self.delay
            if due <= now:
                over.append(key)
            else:
                self._due[key] = due
        return over
