"""One clock for every stream of the process: a packet each 20 ms, on an absolute schedule.

A timer a stream would cost more than the packets. Streams are spread over slots of the 20 ms, so that a
hundred calls do not leave in one burst.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

PACKET = 0.02  # s
SLOTS = 5
_BEHIND = 10  # ticks: after a longer stall the missed packets are not sent in a burst but skipped


class Paced(Protocol):
    def tick(self) -> None:
        """Send one packet."""


class Pacer:
    def __init__(self) -> None:
        self._slots: list[dict[Paced, None]] = [{} for _ in range(SLOTS)]
        self._slot = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.skipped = 0  # ticks that were not made up for

    def add(self, paced: Paced) -> None:
        min(self._slots, key=len)[paced] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time()
            self._timer = loop.call_at(self._due, self._run)

    def remove(self, paced: Paced) -> None:
        for slot in self._slots:
            slot.pop(paced, None)
        if self._timer is not None and not any(self._slots):
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        loop = asyncio.get_running_loop()
        step = PACKET / SLOTS
        behind = int((loop.time() - self._due) / step) - _BEHIND
        if behind > 0:
            self.skipped += behind
            self._due += behind * step
        while self._due <= loop.time() and self._timer is not None:
            for paced in list(self._slots[self._slot]):
                paced.tick()
            self._slot = (self._slot + 1) % SLOTS
            self._due += step
        if self._timer is not None:
            self._timer = loop.call_at(self._due, self._run)
