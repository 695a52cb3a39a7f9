"""The border's alarms: who is woken when, and that the memory follows the living."""

from __future__ import annotations

import gc
import weakref

from cubeproxy.border.alarms import Alarms


class Key:
    """Something that wants to be woken."""


def test_alarms_ring_in_order_of_time_and_once() -> None:
    alarms = Alarms()
    rung: list[tuple[str, float]] = []
    alarms.set("b", 2.0, lambda now: rung.append(("b", now)))
    alarms.set("a", 1.0, lambda now: rung.append(("a", now)))
    alarms.set("c", 3.0, lambda now: rung.append(("c", now)))
    assert alarms.deadline == 1.0
    alarms.ring(2.5)
    assert rung == [("a", 2.5), ("b", 2.5)]
    assert alarms.deadline == 3.0
    assert len(alarms) == 1


def test_setting_again_replaces_and_cancelling_silences() -> None:
    alarms = Alarms()
    rung: list[str] = []
    alarms.set("a", 1.0, lambda _now: rung.append("early"))
    alarms.set("a", 5.0, lambda _now: rung.append("late"))
    alarms.set("b", 2.0, lambda _now: rung.append("never"))
    alarms.cancel("b")
    alarms.cancel("b")
    assert alarms.deadline == 5.0
    alarms.ring(4.9)
    assert rung == []
    alarms.ring(5.0)
    assert rung == ["late"]
    assert alarms.deadline is None


def test_an_alarm_may_set_itself_again_while_it_rings() -> None:
    alarms = Alarms()
    rung: list[float] = []

    def again(now: float) -> None:
        rung.append(now)
        if len(rung) < 3:
            alarms.set("a", now + 1, again)

    alarms.set("a", 1.0, again)
    for now in (1.0, 2.0, 3.0, 4.0):
        alarms.ring(now)
    assert rung == [1.0, 2.0, 3.0]


def test_a_cancelled_alarm_lets_go_of_its_key_at_once() -> None:
    alarms, key = Alarms(), Key()
    kept = weakref.ref(key)
    alarms.set(key, 1.0, lambda _now: None)
    alarms.cancel(key)
    del key
    gc.collect()
    assert kept() is None


def test_cancelled_alarms_do_not_pile_up_behind_a_living_one() -> None:
    alarms = Alarms()
    alarms.set("first", 0.5, lambda _now: None)
    for number in range(10_000):
        alarms.set(number, 100.0, lambda _now: None)
        alarms.cancel(number)
    assert len(alarms) == 1
    assert len(alarms._heap) <= 70
