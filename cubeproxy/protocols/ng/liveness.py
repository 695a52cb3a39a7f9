"""Whether an engine is there: a ping every `PERIOD` seconds, and every answer of any kind counts. Sans-IO, a table.

An engine is not believed before its first answer. One that restarted has lost its calls although it answers every
ping: its uptime tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

PERIOD = 1.0  # s between the answer to a ping and the next one
LOOK = 5.0  # s between two looks at the engine's statistics


class State(Enum):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Input(Enum):
    ANSWER = auto()
    SILENCE = auto()
    RESTART = auto()


class News(Enum):
    NONE = auto()
    CAME = auto()
    WENT = auto()
    RESTARTED = auto()


TRANSITIONS: Mapping[tuple[State, Input], tuple[News, State]] = {
    (State.UNKNOWN, Input.ANSWER): (News.CAME, State.UP),
    (State.UNKNOWN, Input.SILENCE): (News.WENT, State.DOWN),
    (State.UNKNOWN, Input.RESTART): (News.CAME, State.UP),
    (State.UP, Input.ANSWER): (News.NONE, State.UP),
    (State.UP, Input.SILENCE): (News.WENT, State.DOWN),
    (State.UP, Input.RESTART): (News.RESTARTED, State.UP),
    (State.DOWN, Input.ANSWER): (News.CAME, State.UP),
    (State.DOWN, Input.SILENCE): (News.NONE, State.DOWN),
    (State.DOWN, Input.RESTART): (News.CAME, State.UP),
}


class Liveness:
    def __init__(self, now: float) -> None:
        self.state = State.UNKNOWN
        self.since = now
        self._started: float | None = None  # when the engine was, by its uptime

    def receive(self, what: Input, now: float) -> News:
        news, state = TRANSITIONS[self.state, what]
        if state is not self.state or news is News.RESTARTED:
            self.since = now
        if news is News.WENT:
            self._started = None  # whatever it had is lost already: when it is back, its age is no news
        self.state = state
        return news

    def uptime(self, seconds: int, now: float) -> News:
        """What the engine tells of its age, in whole seconds: two tellings agree within those, and a delay."""
        before, self._started = self._started, now - seconds
        restarted = before is not None and self._started - before > 2.0
        return self.receive(Input.RESTART if restarted else Input.ANSWER, now)
