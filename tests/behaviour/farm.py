"""A DSP farm beside the lab's proxy: `cubeproxy dsp farm` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cubelab import data
from tests.behaviour.stage import Stage
from tests.waiting import until


class FarmProcess:
    """`async with FarmProcess(stage)`: it runs, and has registered unless `registers` is False."""

    def __init__(
        self, stage: Stage, *arguments: str, config: Path | None = None, registers: bool = True, name: str = "farm"
    ) -> None:
        maps = [word for old, new in stage.network.mapping.items() for word in ("--map", f"{old}={new}")]
        self.arguments = ["dsp", "farm", str(config or data.config("sample-a.ios")), *maps, *arguments]
        self.log = stage.log.with_name(f"{name}.log")
        self._stage = stage
        self._registers = registers
        self.process: asyncio.subprocess.Process | None = None
        self._orphans: tuple[int, ...] = ()  # media workers that a killed farm leaves: they end when nobody speaks

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cubeproxy.cli.main", *self.arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        if self._registers:
            await until(lambda: "sccp.registered" in self.log.read_text() or self._ended())
            assert not self._ended(), self.log.read_text()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.log.read_text())
        await self.stop()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        for pid in self._orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(2):  # the second does not wait for the calls
            if self.process.returncode is None:
                self.process.terminate()
                await asyncio.sleep(0.2)
        return await self.process.wait()

    async def kill(self) -> None:
        assert self.process is not None
        self._orphans = _children(self.process.pid)
        self.process.kill()
        await self.process.wait()

    def kill_workers(self) -> None:
        """SIGKILL to the farm's media workers; the farm itself goes on."""
        assert self.process is not None
        for pid in _children(self.process.pid):
            os.kill(pid, signal.SIGKILL)

    def _ended(self) -> bool:
        return self.process is not None and self.process.returncode is not None


def _children(pid: int) -> tuple[int, ...]:
    return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
