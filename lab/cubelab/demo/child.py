"""A process of the product as the demo sees it: a command line, a log, an end by SIGTERM."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from cubelab.demo.observations import Complaint

_EVENT = re.compile(r"^\S+ %(WARNING|ERROR) ([a-z0-9_.-]+): (.*)$")
_DETAILS = re.compile(r" (?:peer|device|call|cause)=")  # where the text of an event ends
_FIX = re.compile(r"^ +fix: (.*)$")
_MODULE = "cubeproxy.cli.main"


class Child:
    """`spawn`, and `stop` once. `log` gets all that it writes."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.arguments = arguments
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def command(self) -> str:
        """As one would type it."""
        return shlex.join(["cubeproxy", *self.arguments])

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and when it never did."""
        return self._process.returncode if self._process is not None else None

    async def spawn(self) -> None:
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _MODULE,
                *self.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def stop(self, patience: float = 10.0) -> int | None:
        """SIGTERM, and SIGKILL when that is not enough; the exit code, None when it never ran."""
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(patience):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode

    def said(self, event: str) -> bool:
        """Whether its log has an event of that name."""
        return re.search(rf"^\S+ %\w+ {re.escape(event)}: ", self._text(), re.MULTILINE) is not None

    def complaints(self) -> list[Complaint]:
        """Warnings and errors of its log, in order, without repetitions."""
        found: list[Complaint] = []
        for line in self._text().splitlines():
            if event := _EVENT.match(line):
                found.append(Complaint(event[2], _DETAILS.split(event[3], maxsplit=1)[0]))
            elif found and (fix := _FIX.match(line)):
                found[-1].fix = fix[1]
        return found

    def field(self, event: str, name: str) -> str:
        """A field of the last event of that name in its log, "" when there is none."""
        pattern = rf"^\S+ %\w+ {re.escape(event)}: .* {re.escape(name)}=(\S+)"
        found = re.findall(pattern, self._text(), re.MULTILINE)
        return str(found[-1]) if found else ""

    def last_words(self) -> str:
        lines = self._text().strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def _text(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


def mapped(mapping: Mapping[str, str]) -> list[str]:
    """A mapping as words of a command line."""
    return [word for old, new in mapping.items() for word in ("--map", f"{old}={new}")]
