"""Debian's rtpengine as a process of its own: in userspace, on loopback, with nothing of the machine's settings."""

from __future__ import annotations

import asyncio
import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from cubeproxy.media.transcoders.ng_engine import EngineSettings
from cubeproxy.protocols.ng.messages import Command, Ping, Reply, Statistics, read, write
from tests.interop.programs.addresses import ADDRESSES
from tests.interop.programs.process import free_port, require
from tests.waiting import until


class RtpengineProcess:
    """`async with RtpengineProcess(folder)`: it answers. `arguments` are of its command line.

    Each has an address of its own: two on one would share the ports of media, and each lose packets to the other.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.program = require("rtpengine")
        host = ADDRESSES.take()
        self.control = (host, free_port(host))
        self.log = folder / f"rtpengine-{self.control[1]}.log"
        self.arguments = (
            "--config-file=none", "--foreground", "--log-stderr", "--log-level=6", "--table=-1", "--num-threads=2",
            f"--interface={host}", f"--listen-ng={host}:{self.control[1]}", "--port-min=41000", "--port-max=41999",
            *arguments,
        )  # fmt: skip
        self.process: asyncio.subprocess.Process | None = None

    @property
    def settings(self) -> EngineSettings:
        return EngineSettings(self.control)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.log.read_text(errors="replace"))
        await self.stop()

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                self.program, *self.arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        await until(self._answers)

    async def stop(self) -> None:
        """It is killed: nothing is left of its calls."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    @property
    def sessions(self) -> int:
        """Calls that it has, by its own count."""
        reply = self._ask(Statistics())
        return reply.number("statistics", "currentstatistics", "sessionsown") if reply is not None else 0

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text(errors="replace")
        reply = self._ask(Ping())
        return reply is not None and reply.good

    def _ask(self, command: Command) -> Reply | None:
        cookie = secrets.token_hex(8).encode()  # an engine repeats what it answered to one that it knows
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1.0)
            sock.connect(self.control)
            try:
                sock.send(write(cookie, command))
                return read(sock.recv(65535))[1]
            except OSError:
                return None
