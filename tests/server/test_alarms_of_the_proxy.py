"""How the proxy waits for the border's deadline: alarms that are near each other ring together."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cubeproxy.server.proxy import GRAIN, Proxy


class Loop:
    """A loop with a clock that the test moves. `set` are the timers that were not cancelled."""

    def __init__(self) -> None:
        self.now = 100.0
        self.set: list[float] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, _ring: Callable[[], None]) -> SimpleNamespace:
        self.set.append(when)
        return SimpleNamespace(cancel=lambda: self.set.remove(when))


def waiting(deadline: float | None) -> tuple[Any, Loop]:
    proxy: Any = Proxy.__new__(Proxy)  # without sockets and processes: only its clockwork is looked at
    loop = Loop()
    proxy.loop, proxy._timer, proxy._armed = loop, None, None
    proxy.border = SimpleNamespace(deadline=deadline)
    proxy._arm()
    return proxy, loop


def test_a_far_deadline_is_waited_for_exactly() -> None:
    _, loop = waiting(132.0)
    assert loop.set == [132.0]


def test_without_a_deadline_nobody_waits() -> None:
    _, loop = waiting(None)
    assert loop.set == []


def test_deadlines_within_a_grain_ring_together() -> None:
    proxy, loop = waiting(100.001)
    assert loop.set == [100.0 + GRAIN]
    loop.now, proxy.border.deadline = 100.0005, 100.0
    proxy._arm()
    assert loop.set == [100.0 + GRAIN]


def test_a_nearer_deadline_takes_the_place_of_a_far_one() -> None:
    proxy, loop = waiting(132.0)
    proxy.border.deadline = 100.5
    proxy._arm()
    assert loop.set == [100.5]


def test_a_deadline_is_late_by_a_grain_at_most() -> None:
    for offset in (-5.0, 0.0, 0.01, 0.5):
        _, loop = waiting(100.0 + offset)
        assert 0 <= loop.set[0] - max(100.0, 100.0 + offset) <= GRAIN
