"""SCCP over asyncio: a connection that cuts its stream into messages, for the call manager's end and the farm's.

Each message goes out by a write of its own with Nagle switched off, so that it stands alone in its segment. Octets are
never logged: they may hold keys.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, cast

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.frame import Framer
from cubeproxy.protocols.sccp.registry import Message, Unknown, encode
from cubeproxy.protocols.values import Address, Event, Severity

MAX_CONNECTIONS = 32
MAX_UNSENT = 1 << 20  # octets that a peer may leave unread
PER_TURN = 65536  # octets read at once


class Owner(Protocol):
    """Who hears of a connection."""

    def opened(self, connection: SccpConnection) -> None: ...
    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None: ...
    def ended(self, connection: SccpConnection, cause: str) -> None: ...


class SccpConnection(asyncio.Protocol):
    """`number` is the owner's name for it."""

    def __init__(self, owner: Owner, number: int) -> None:
        self.number = number
        self.peer: Address = ("", 0)
        self._owner = owner
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._cause = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = transport.get_extra_info("peername")[:2]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        for message, _version in self._framer.receive(data):
            if self._cause:
                return
            if isinstance(message, RemoteProtocolError) and message.fatal:
                self.close(str(message))
                return
            self._owner.received(self, message)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._owner.ended(self, self._cause or (str(error) if error else "closed by the peer"))

    def send(self, message: Message, version: int) -> None:
        transport = self._transport
        if transport is None or self._cause:
            return
        transport.write(encode(message, version))
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self.close("the peer reads nothing")
            transport.abort()

    def close(self, cause: str = "closed") -> None:
        """What was written before still goes out."""
        self._cause = self._cause or cause
        if self._transport is not None:
            self._transport.close()


class SccpListener:
    """The call manager's port. Hosts that `admits` does not like are closed unread, and so are more than
    MAX_CONNECTIONS at a time: nobody outside can take the places of those who belong here."""

    def __init__(self, owner: Owner, admits: Callable[[str], bool], on_report: Callable[[Event], None]) -> None:
        self._owner = owner
        self._admits = admits
        self._on_report = on_report
        self._connections: dict[int, SccpConnection] = {}
        self._made = 0
        self._server: asyncio.Server | None = None

    async def listen(self, address: Address) -> Address:
        """OSError when it cannot be opened. Returns the bound address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make, *address, reuse_address=True)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def send(self, number: int, message: Message, version: int) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            connection.send(message, version)

    def close_one(self, number: int, cause: str) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            connection.close(cause)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.close()

    def _make(self) -> SccpConnection:
        self._made += 1
        return SccpConnection(self, self._made)

    def opened(self, connection: SccpConnection) -> None:
        cause = ""
        if not self._admits(connection.peer[0]):
            cause = "SCCP in the clear is for DSP farms on this box"
        elif len(self._connections) >= MAX_CONNECTIONS:
            cause = "too many connections"
        if not cause:
            self._connections[connection.number] = connection
            self._owner.opened(connection)
            return
        host, port = connection.peer
        text = f"SCCP connection from {host} refused: {cause}"
        self._on_report(Event("sccp.refused", Severity.WARNING, text, peer=f"{host}:{port}", cause=cause))
        connection.close(cause)

    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None:
        self._owner.received(connection, message)

    def ended(self, connection: SccpConnection, cause: str) -> None:
        if self._connections.pop(connection.number, None) is not None:
            self._owner.ended(connection, cause)
