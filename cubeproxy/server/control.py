"""The control socket: a show command, or an order, in, its text out. Unix only, for the owner of the process alone.

The protocol is a line and the answer until the end of the stream; `cubeproxy show` speaks it, and so
does `socat - UNIX:control.sock`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from cubeproxy.protocols.errors import ConfigError

LONGEST = 1024  # octets of a command
PATIENCE = 5.0  # s for the command line


class ControlSocket:
    def __init__(self, path: Path, answer: Callable[[str], str]) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """ConfigError when the path cannot be bound. A socket that a dead process left behind is replaced."""
        try:
            if self._path.is_socket():
                await self._replace()
            mask = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST)
            finally:
                os.umask(mask)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(
                f"the control socket {self._path} cannot be made: {reason}", fix="give another path with --control"
            ) from None

    async def _replace(self) -> None:
        """Remove what nobody listens on; whoever does keeps it."""
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except (ConnectionRefusedError, FileNotFoundError):
            self._path.unlink(missing_ok=True)
            return
        writer.close()
        raise OSError(errno.EADDRINUSE, "another proxy answers there")

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
            writer.write(self._answer(line.decode("utf-8", "replace").strip()).encode("utf-8", "replace"))
            await writer.drain()
        except (TimeoutError, ValueError, OSError):
            pass
        finally:
            writer.close()


def ask(path: Path, command: str, patience: float = 10.0) -> str:
    """Ask a running proxy. OSError when none listens there."""

    async def exchange() -> str:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(command.encode() + b"\n")
        await writer.drain()
        async with asyncio.timeout(patience):
            answer = await reader.read(-1)
        writer.close()
        return answer.decode("utf-8", "replace")

    return asyncio.run(exchange())
