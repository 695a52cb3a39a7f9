"""The border's clock-less timers: who wants to be woken, and when.

An alarm belongs to a key (any hashable); setting it again replaces it. Of a replaced or cancelled one a time and a
number stay in the heap until they surface or outnumber the living, when the heap is rebuilt; its key goes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush

Wake = Callable[[float], None]


class Alarms:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []  # when, serial number
        self._serials: dict[Hashable, int] = {}
        self._living: dict[int, tuple[Hashable, Wake]] = {}  # by serial number
        self._serial = 0

    def __len__(self) -> int:
        return len(self._living)

    @property
    def deadline(self) -> float | None:
        """When the next alarm rings, in the caller's clock, or None."""
        heap, living = self._heap, self._living
        while heap and heap[0][1] not in living:
            heappop(heap)
        return heap[0][0] if heap else None

    def set(self, key: Hashable, when: float, wake: Wake) -> None:
        self.cancel(key)
        self._serial += 1
        self._serials[key] = self._serial
        self._living[self._serial] = key, wake
        heappush(self._heap, (when, self._serial))
        if len(self._heap) > 64 + 2 * len(self._living):
            self._heap = [entry for entry in self._heap if entry[1] in self._living]
            heapify(self._heap)

    def cancel(self, key: Hashable) -> None:
        serial = self._serials.pop(key, None)
        if serial is not None:
            del self._living[serial]

    def ring(self, now: float) -> None:
        """Wake everybody whose time has come, in order of time."""
        while self._heap and self._heap[0][0] <= now:
            alarm = self._living.pop(heappop(self._heap)[1], None)
            if alarm is not None:
                key, wake = alarm
                del self._serials[key]
                wake(now)
