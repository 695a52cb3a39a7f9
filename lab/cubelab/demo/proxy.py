"""The proxy as the demo sees it: a child process with a control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from cubelab.demo.child import Child, mapped


class ProxyFailed(Exception):
    """The proxy did not come up; the text holds what it said last."""


class ProxyProcess(Child):
    """`start`, ask with `show`, `stop` once."""

    def __init__(self, config: Path, nvram: Path, mapping: Mapping[str, str], control: Path, log: Path) -> None:
        words = ["run", str(config), "--nvram", str(nvram), *mapped(mapping), "--control", str(control)]
        super().__init__(words, log)
        self.control = control

    async def start(self, patience: float = 40.0) -> float:
        """Start it and wait until it answers; the seconds that it took. ProxyFailed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.spawn()
        while loop.time() - began < patience:
            if self.exit_code is not None:
                raise ProxyFailed(f"exit {self.exit_code}: {self.last_words()}")
            try:
                await self.show("version")
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return loop.time() - began
        raise ProxyFailed(f"no answer on its control socket in {patience:.0f} s: {self.last_words()}")

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
