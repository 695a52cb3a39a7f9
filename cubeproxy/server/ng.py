"""UDP sockets to the rtpengines: one each, connected, so that nobody else's datagrams are read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from cubeproxy.media.transcoders.ng_engine import FIX, EngineSettings
from cubeproxy.protocols.errors import ConfigError


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
        self._transports: list[asyncio.DatagramTransport] = []

    async def open(self, engines: Sequence[EngineSettings], inside: str) -> None:
        """From `inside`, a port each. OSError."""
        loop = asyncio.get_running_loop()
        for index, engine in enumerate(engines):
            transport, _protocol = await loop.create_datagram_endpoint(
                partial(_Reader, self._owner, index), local_addr=(inside, 0), remote_addr=engine.control
            )
            self._transports.append(transport)

    def send(self, engine: int, datagram: bytes) -> None:
        self._transports[engine].sendto(datagram)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        self._transports.clear()


class _Reader(asyncio.DatagramProtocol):
    """What an engine says. That nobody listens there is told by the missing answer."""

    def __init__(self, owner: Owner, engine: int) -> None:
        self._owner = owner
        self._engine = engine

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._owner.engine_said(self._engine, data)
