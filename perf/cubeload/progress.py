"""What a long run says while it works: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.status import Status


class Progress:
    """`part` begins one, `say` tells how far it is, `done` ends it with what came of it."""

    def __init__(self, parts: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._parts, self._part = parts, 0
        self._title = ""
        self._begun = self._part_begun = time.monotonic()
        self._status: Status | None = None

    def part(self, title: str, expected: float) -> None:
        """`expected` is about how many seconds it will take."""
        self._part += 1
        self._title = f"[{self._part}/{self._parts}] {title}"
        self._part_begun = time.monotonic()
        text = f"{self._title} (about {expected:.0f} s)"
        if self.console.is_terminal:
            self._status = self.console.status(_plain(text))
            self._status.start()
        else:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        if self._status is not None:
            took = time.monotonic() - self._part_begun
            self._status.update(_plain(f"{self._title}, {took:.0f} s: {text}"))

    def done(self, lines: list[str]) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        took = time.monotonic() - self._part_begun
        self.console.print(f"{self._title}: {took:.0f} s", markup=False, highlight=False, soft_wrap=True)
        for line in lines:
            self.console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
