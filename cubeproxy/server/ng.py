"""UDP sockets to the rtpengines: one each, connected, so that nobody else's datagrams are read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from cubeproxy.media.transcoders.ng_engine import FIX, EngineSettings
from cubeproxy.protocols.errors import ConfigError

LONGEST = 65535


class Owner(Protocol):
    def engine_said(self, engine: int, datagram: bytes) -> None: ...


def local_address(engines: Sequence[EngineSettings]) -> str:
    """The address of this box towards the engines, which all must be reached from it. ConfigError."""
    found = {_towards(engine) for engine in engines}
    if len(found) > 1:
        raise ConfigError(
            f"the rtpengines are reached from different addresses of this box: {', '.join(sorted(found))}",
            fix="a session that moves from one to another keeps its ports: name engines of one network",
        )
    return found.pop() if found else ""


def _towards(engine: EngineSettings) -> str:
    host = engine.control[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(engine.control)
        except OSError as error:
            raise ConfigError(f"rtpengine {engine.name}: {error.strerror or error}", fix=FIX) from None
        address: str = probe.getsockname()[0]
    return address


class NgSockets:
    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._sockets: list[socket.socket] = []

    def open(self, engines: Sequence[EngineSettings], inside: str) -> None:
        """From `inside`, a port each. OSError."""
        loop = asyncio.get_running_loop()
        for index, engine in enumerate(engines):
            family = socket.AF_INET6 if ":" in inside else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._sockets.append(sock)
            sock.bind((inside, 0))
            sock.connect(engine.control)
            loop.add_reader(sock, self._read, index, sock)

    def send(self, engine: int, datagram: bytes) -> None:
        """One that cannot be sent is one that was lost: it is repeated."""
        with suppress(OSError):
            self._sockets[engine].send(datagram)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def _read(self, index: int, sock: socket.socket) -> None:
        try:
            datagram = sock.recv(LONGEST)
        except OSError:  # nobody listens there: the missing answer tells as much
            return
        self._owner.engine_said(index, datagram)
