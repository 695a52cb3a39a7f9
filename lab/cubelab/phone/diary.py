"""What a phone tells about its boot: one line a step, saying what was trusted or refused, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, frozen=True)
class Line:
    """`step`: reset, ctl, itl, config, tvs, capf, lsc, identity, register."""

    step: str
    good: bool
    text: str

    def __str__(self) -> str:
        return f"{self.step:<8} {'ok     ' if self.good else 'REFUSED'} {self.text}"


def unheard(_line: Line) -> None:
    """Nobody listens: the lines are kept all the same."""


@dataclass
class Diary:
    lines: list[Line] = field(default_factory=list)
    on_line: Callable[[Line], None] = unheard

    def note(self, step: str, text: str, *, good: bool = True) -> None:
        line = Line(step, good, text)
        self.lines.append(line)
        self.on_line(line)

    def refuse(self, step: str, text: str) -> None:
        self.note(step, text, good=False)

    def of(self, step: str) -> list[Line]:
        return [line for line in self.lines if line.step == step]

    def good(self, step: str) -> bool:
        """Whether the step came, and went well the last time."""
        found = self.of(step)
        return bool(found) and found[-1].good
