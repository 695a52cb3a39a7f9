"""The border's clock-less timers: who wants to be woken, and when.

An alarm belongs to a key (any hashable); setting it again replaces it. Replaced entries stay in the
heap until they surface or outnumber the living, when the heap is rebuilt: memory follows the living.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush

Wake = Callable[[float], None]


class Alarms:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._set: dict[Hashable, tuple[int, Wake]] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._set)

    @property
    def deadline(self) -> float | None:
        """When the next alarm rings, in the caller's clock, or None."""
        self._drop_dead()
        return self._heap[0][0] if self._heap else None

    def set(self, key: Hashable, when: float, wake: Wake) -> None:
        self._serial += 1
        self._set[key] = (self._serial, wake)
        heappush(self._heap, (when, self._serial, key))
        if len(self._heap) > 64 + 2 * len(self._set):
            self._heap = [entry for entry in self._heap if self._living(entry)]
            heapify(self._heap)

    def cancel(self, key: Hashable) -> None:
        self._set.pop(key, None)

    def ring(self, now: float) -> None:
        """Wake everybody whose time has come, in order of time."""
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            if self._living(entry):
                _, wake = self._set.pop(entry[2])
                wake(now)

    def _living(self, entry: tuple[float, int, Hashable]) -> bool:
        held = self._set.get(entry[2])
        return held is not None and held[0] == entry[1]

    def _drop_dead(self) -> None:
        while self._heap and not self._living(self._heap[0]):
            heappop(self._heap)
