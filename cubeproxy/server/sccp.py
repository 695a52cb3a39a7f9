"""SCCP over asyncio: a connection that cuts its stream into messages, for the call manager's end and the farm's.

Each message goes out by a write of its own with Nagle switched off, so that it stands alone in its segment. Octets are
never logged: they may hold keys. Over TLS nobody hears of a connection before both certificates were judged.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import Protocol, cast

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.frame import Framer
from cubeproxy.protocols.sccp.registry import Message, Unknown, encode
from cubeproxy.protocols.values import Address, DeviceIdentity, Event, Severity
from cubeproxy.transport.channel import ChannelBroken, TlsChannel
from cubeproxy.transport.refusals import HandshakeRefused

MAX_CONNECTIONS = 32
MAX_UNSENT = 1 << 20  # octets that a peer may leave unread
PER_TURN = 65536  # octets read at once


class Owner(Protocol):
    """Who hears of a connection."""

    def opened(self, connection: SccpConnection) -> None: ...
    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None: ...
    def refused(self, connection: SccpConnection, event: Event, *, theirs: bool) -> None:
        """TLS came to nothing; `ended` follows. `theirs`: by the peer's fault."""

    def ended(self, connection: SccpConnection, cause: str) -> None: ...


class SccpConnection(asyncio.Protocol):
    """`number` is the owner's name for it; `first` was read before there was a protocol."""

    def __init__(self, owner: Owner, number: int, channel: TlsChannel | None = None, first: bytes = b"") -> None:
        self.number = number
        self.peer: Address = ("", 0)
        self.channel = channel
        self._owner = owner
        self._first = first
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._open = False
        self._cause = ""

    @property
    def identity(self) -> DeviceIdentity | None:
        """Who the peer is by its certificate; None in the clear."""
        return self.channel.identity if self.channel is not None else None

    @property
    def tls(self) -> tuple[str, str] | None:
        """Version and cipher suite, as OpenSSL spells them."""
        return (self.channel.version(), self.channel.cipher()) if self.channel is not None else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = transport.get_extra_info("peername")[:2]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._cause:  # given up while it was being made
            self._transport.abort()
        elif self.channel is None:
            self._opened()
        elif not self.channel.settings.server:
            self._transport.write(self.channel.start())
        first, self._first = self._first, b""
        if first:
            self.data_received(first)

    def data_received(self, data: bytes) -> None:
        if self._cause:
            return
        if self.channel is not None:
            data = self._decrypt(self.channel, data)
        for message, _version in self._framer.receive(data):
            if self._cause:
                return
            if isinstance(message, RemoteProtocolError) and message.fatal:
                self.close(str(message))
                return
            self._owner.received(self, message)
        if self.channel is not None and self.channel.peer_closed:
            self.close("closed by the peer")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._owner.ended(self, self._cause or (str(error) if error else "closed by the peer"))
        if self.channel is not None:
            self.channel.dispose()

    def send(self, message: Message, version: int) -> None:
        transport = self._transport
        if transport is None or self._cause or not self._open:
            return
        data = encode(message, version)
        if self.channel is not None:
            try:
                data = self.channel.send(data)
            except ChannelBroken as broken:
                self._break(broken)
                return
        transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self.close("the peer reads nothing")
            transport.abort()

    def close(self, cause: str = "closed") -> None:
        """What was written before still goes out."""
        self._cause = self._cause or cause
        if self._transport is not None:
            if self.channel is not None and (farewell := self.channel.close()):
                self._transport.write(farewell)
            self._transport.close()

    def judge_again(self) -> None:
        """Whether the peer's certificate is still trusted: TrustError if not. Nothing in the clear."""
        if self.channel is not None and self._open:
            self.channel.judge_again()

    def _opened(self) -> None:
        self._open = True
        self._owner.opened(self)

    def _decrypt(self, channel: TlsChannel, data: bytes) -> bytes:
        """The plaintext of what came, b"" when there is none or TLS is over."""
        try:
            plain = channel.receive(data)
        except HandshakeRefused as refusal:
            self._owner.refused(self, refusal.event, theirs=refusal.theirs)
            self._end(f"tls: {refusal.event.cause}")
            return b""
        except ChannelBroken as broken:
            self._break(broken)
            return b""
        if channel.stirred:
            self._flush(channel)
        if channel.established and not self._open:
            self._opened()
        return plain

    def _flush(self, channel: TlsChannel) -> None:
        """Send what OpenSSL wants to say, and no more often than the limits let the peer make it speak."""
        if self._transport is not None and (data := channel.outgoing()):
            self._transport.write(data)
        if channel.flooded():
            self.close("tls: flood of handshake messages")

    def _break(self, broken: ChannelBroken) -> None:
        if broken.event is not None:
            self._owner.refused(self, broken.event, theirs=False)
        self._end(str(broken))

    def _end(self, cause: str) -> None:
        """Close, with the alert that OpenSSL has ready."""
        if self._transport is not None and self.channel is not None and (alert := self.channel.outgoing()):
            self._transport.write(alert)
        self._cause = self._cause or cause
        if self._transport is not None:
            self._transport.close()


class SccpListener:
    """The call manager's clear port. Hosts that `admits` does not like are closed unread, and so are more than
    MAX_CONNECTIONS at a time: nobody outside can take the places of those who belong here. Connections of other doors
    (TLS, see `sccp_tls`) are in the same register."""

    def __init__(self, owner: Owner, admits: Callable[[str], bool], on_report: Callable[[Event], None]) -> None:
        self.numbers: Iterator[int] = count(1)  # of connections, those of all doors
        self._owner = owner
        self._admits = admits
        self._on_report = on_report
        self._connections: dict[int, SccpConnection] = {}
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> list[SccpConnection]:
        """Those that are open, over TLS or not."""
        return list(self._connections.values())

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
        for connection in self.connections:
            connection.close()

    def _make(self) -> SccpConnection:
        return SccpConnection(self, next(self.numbers))

    def opened(self, connection: SccpConnection) -> None:
        cause = ""
        if connection.identity is None and not self._admits(connection.peer[0]):
            cause = "SCCP in the clear is for DSP farms on this box"
        elif len(self._connections) >= MAX_CONNECTIONS:
            cause = "too many connections"
        if not cause:
            self._connections[connection.number] = connection
            self._owner.opened(connection)
            return
        peer = format_address(connection.peer)
        text = f"SCCP connection from {connection.peer[0]} refused: {cause}"
        self._on_report(Event("sccp.refused", Severity.WARNING, text, peer=peer, cause=cause))
        connection.close(cause)

    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None:
        self._owner.received(connection, message)

    def refused(self, connection: SccpConnection, event: Event, *, theirs: bool) -> None:
        self._on_report(event)

    def ended(self, connection: SccpConnection, cause: str) -> None:
        if self._connections.pop(connection.number, None) is not None:
            self._owner.ended(connection, cause)
