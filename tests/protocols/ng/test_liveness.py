"""Whether an engine is there."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.ng.liveness import TRANSITIONS, Input, Liveness, News, State


def at(state: State) -> Liveness:
    machine = Liveness(0.0)
    if state is not State.UNKNOWN:
        machine.receive(Input.ANSWER if state is State.UP else Input.SILENCE, 1.0)
    assert machine.state is state
    return machine


@pytest.mark.parametrize(
    ("before", "what", "news", "after"),
    [
        (State.UNKNOWN, Input.ANSWER, News.CAME, State.UP),
        (State.UNKNOWN, Input.SILENCE, News.WENT, State.DOWN),
        (State.UNKNOWN, Input.RESTART, News.CAME, State.UP),
        (State.UP, Input.ANSWER, News.NONE, State.UP),
        (State.UP, Input.SILENCE, News.WENT, State.DOWN),
        (State.UP, Input.RESTART, News.RESTARTED, State.UP),
        (State.DOWN, Input.ANSWER, News.CAME, State.UP),
        (State.DOWN, Input.SILENCE, News.NONE, State.DOWN),
        (State.DOWN, Input.RESTART, News.CAME, State.UP),
    ],
)
def test_news(before: State, what: Input, news: News, after: State) -> None:
    machine = at(before)
    assert machine.receive(what, 5.0) is news
    assert machine.state is after
    assert machine.since == (5.0 if after is not before or news is News.RESTARTED else machine.since)


def test_an_uptime_that_falls_is_a_restart() -> None:
    machine = at(State.UP)
    assert machine.uptime(100, 200.0) is News.NONE
    assert machine.uptime(105, 205.9) is News.NONE  # whole seconds, and a late answer
    assert machine.uptime(0, 210.0) is News.RESTARTED
    assert machine.uptime(5, 215.0) is News.NONE


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == {(state, what) for state in State for what in Input}
