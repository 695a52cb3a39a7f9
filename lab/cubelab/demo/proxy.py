"""The proxy as the demo sees it: a child process, its control socket and its log."""

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


class ProxyFailed(Exception):
    """The proxy did not come up; the text holds what it said last."""


class ProxyProcess:
    """`start`, ask with `show`, `stop` once. `log` gets all that it writes."""

    def __init__(self, config: Path, nvram: Path, mapping: Mapping[str, str], control: Path, log: Path) -> None:
        self.control = control
        self.log = log
        maps = [word for old, new in mapping.items() for word in ("--map", f"{old}={new}")]
        self.arguments = ["run", str(config), "--nvram", str(nvram), *maps, "--control", str(control)]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def command(self) -> str:
        """As one would type it."""
        return shlex.join(["cubeproxy", *self.arguments])

    async def start(self, patience: float = 20.0) -> float:
        """Start it and wait until it answers; the seconds that it took. ProxyFailed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
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
        while loop.time() - began < patience:
            if self._process.returncode is not None:
                raise ProxyFailed(f"exit {self._process.returncode}: {self._last_words()}")
            try:
                await self.show("version")
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return loop.time() - began
        raise ProxyFailed(f"no answer on its control socket in {patience:.0f} s: {self._last_words()}")

    async def show(self, command: str) -> str:
        """Ask for a show command over the control socket. OSError when nobody answers."""
        reader, writer = await asyncio.open_unix_connection(self.control)
        try:
            writer.write(command.encode() + b"\n")
            await writer.drain()
            async with asyncio.timeout(5):
                return (await reader.read(-1)).decode("utf-8", "replace")
        finally:
            writer.close()

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

    def complaints(self) -> list[Complaint]:
        """Warnings and errors of its log, in order, without repetitions."""
        found: list[Complaint] = []
        for line in self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else ():
            if event := _EVENT.match(line):
                found.append(Complaint(event[2], _DETAILS.split(event[3], maxsplit=1)[0]))
            elif found and (fix := _FIX.match(line)):
                found[-1].fix = fix[1]
        return found

    def field(self, event: str, name: str) -> str:
        """A field of the last event of that name in its log, "" when there is none."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        found = re.findall(rf"^\S+ %\w+ {re.escape(event)}: .* {re.escape(name)}=(\S+)", text, re.MULTILINE)
        return str(found[-1]) if found else ""

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"
