"""The lengths of the timers, and the lanes that they wait in."""

from __future__ import annotations

from enum import IntEnum

import pytest

from cubeproxy.protocols.sip.timers import NEVER, Lanes, Timers


class Alarm(IntEnum):
    WAKE = 1
    SLEEP = 2


def test_the_lengths_on_udp() -> None:
    """RFC 3261 17, table 4, with the default T1 of 500 ms, T2 of 4 s and T4 of 5 s."""
    delays = Timers().delays(reliable=False)
    assert (delays.a, delays.e, delays.g, delays.accepted, delays.t2) == (0.5, 0.5, 0.5, 0.5, 4)
    assert (delays.b, delays.f, delays.h, delays.j, delays.long) == (32, 32, 32, 32, 32)
    assert (delays.d, delays.i, delays.k) == (32, 5, 5)


def test_the_lengths_on_a_reliable_transport() -> None:
    """Nothing is repeated but a 2xx, and nothing is absorbed."""
    delays = Timers().delays(reliable=True)
    assert (delays.a, delays.e, delays.g, delays.accepted) == (NEVER, NEVER, NEVER, 0.5)
    assert (delays.b, delays.f, delays.h, delays.long) == (32, 32, 32, 32)
    assert (delays.d, delays.i, delays.j, delays.k) == (0, 0, 0, 0)


def test_everything_follows_from_t1() -> None:
    delays = Timers(t1=0.1, t2=1, t4=2).delays(reliable=False)
    assert delays.b == pytest.approx(6.4)
    assert (delays.a, delays.t2, delays.k, delays.d) == (0.1, 1, 2, 32)


def test_whose_time_has_come_is_taken_out_in_order() -> None:
    lanes: Lanes[str] = Lanes()
    for number, who in enumerate("abc"):
        lanes.start(who, Alarm.WAKE, 5, now=number)
    lanes.start("d", Alarm.SLEEP, 1, now=3)
    assert (lanes.deadline, len(lanes)) == (4, 4)
    assert [(who, lane.event) for who, lane in lanes.due(6)] == [
        ("a", Alarm.WAKE),
        ("b", Alarm.WAKE),
        ("d", Alarm.SLEEP),
    ]
    assert (lanes.deadline, len(lanes)) == (7, 1)


def test_one_may_wait_in_two_lanes_and_leave_one() -> None:
    lanes: Lanes[str] = Lanes()
    first = lanes.start("a", Alarm.WAKE, 1, now=0)
    lanes.start("a", Alarm.SLEEP, 2, now=0)
    lanes.stop("a", first)
    assert lanes.deadline == 1  # early, and put right by the next look
    assert list(lanes.due(1)) == []
    assert lanes.deadline == 2
    assert [who for who, _ in lanes.due(2)] == ["a"]
    assert lanes.deadline is None
    assert len(lanes) == 0


def test_alarms_may_be_set_and_stopped_while_others_go_off() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.start("a", Alarm.WAKE, 1, now=0)
    later = lanes.start("b", Alarm.SLEEP, 1, now=0)
    seen = []
    for who, _ in lanes.due(1):
        seen.append(who)
        if who == "a":
            lanes.stop("b", later)
            lanes.start("a", Alarm.WAKE, 1, now=1)
            lanes.start("c", Alarm.WAKE, 3, now=1)
    assert seen == ["a"]
    assert (lanes.deadline, len(lanes)) == (2, 2)
