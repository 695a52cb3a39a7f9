"""The call manager's secure port (SCCP over TLS, 2443), to which farms on other hosts come. TLS is mutual.

The same gate as in front of SIP, with fewer places: a connection costs a socket until it has said a whole TLS record,
and becomes one of the listener's only after its certificate was judged.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.values import Address, Event, Severity, Transport
from cubeproxy.server.sccp import SccpConnection, SccpListener
from cubeproxy.transport.counters import Counters
from cubeproxy.transport.gate import Gate, Ticket
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.refusals import certificate_refused, refused
from cubeproxy.transport.tcp import Acceptor, Guest, listening_socket, tune
from cubeproxy.transport.tls import TlsServer

PORT = 2443
LIMITS = Limits(
    half_open_total=64,
    half_open_per_address=16,
    handshakes_total=16,
    handshakes_per_address=4,
    established_total=64,
    established_per_address=32,
    refusals_burst=20,
    refusals_per_second=1.0,
)
TICK = 0.5  # s between two looks at connections that are not yet established


class SecureDoor:
    """Connections that get through are `listener`'s."""

    def __init__(self, listener: SccpListener, report: Callable[[Event], None], limits: Limits = LIMITS) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = self.loop.time
        self.counters = Counters()
        self._listener = listener
        self._report = report
        self._limits = limits
        self._gate = Gate(limits)
        self._acceptor: Acceptor | None = None
        self._tickets: dict[SccpConnection, Ticket | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None

    def listen(self, address: Address, tls: TlsServer) -> Address:
        """OSError when it cannot be opened. Returns the bound address."""
        sock = listening_socket(address)
        self._acceptor = Acceptor(
            self, self._gate, sock, transport=Transport.TLS, limits=self._limits, tls=tls, trusted=None
        )
        self._tick()
        return self._acceptor.local

    def close(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        if self._acceptor is not None:
            self._acceptor.close()
        for connection in list(self._tickets):
            connection.close("shutdown")

    # what the acceptor wants of its owner

    def accepted(self, guest: Guest) -> None:
        tls = guest.acceptor.tls
        assert tls is not None
        channel = tls.channel(self._limits, format_address(guest.remote), self.clock)
        connection = SccpConnection(self, next(self._listener.numbers), channel, guest.received)
        self._tickets[connection] = guest.ticket
        if guest.ticket is not None:
            guest.ticket.payload = connection
        task = self.loop.create_task(self._attach(connection, guest.sock), name="sccp-accept")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def gate_left(self) -> None:
        for ticket in self._gate.startable():
            if isinstance(ticket.payload, Guest):
                ticket.payload.acceptor.release(ticket.payload)

    def report(self, event: Event) -> None:
        self._report(event)

    # what a connection wants of its owner

    def opened(self, connection: SccpConnection) -> None:
        self.counters.handshakes += 1
        if ticket := self._tickets.get(connection):
            self._gate.establish(ticket)
            self.gate_left()
        self._listener.opened(connection)

    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None:
        self._listener.received(connection, message)

    def refused(self, connection: SccpConnection, event: Event, *, theirs: bool) -> None:
        self.counters.handshakes_refused += 1
        if theirs and (ticket := self._tickets.get(connection)):
            self._gate.penalise(ticket, self.clock())
        self._report(event)

    def ended(self, connection: SccpConnection, cause: str) -> None:
        if ticket := self._tickets.pop(connection, None):
            self._gate.leave(ticket)
            self.gate_left()
        self._listener.ended(connection, cause)

    def rejudge(self) -> int:
        """Judge the certificates of open connections again; how many were closed."""
        closed = 0
        for connection in list(self._tickets):
            try:
                connection.judge_again()
            except TrustError as error:
                closed += 1
                self._report(certificate_refused(format_address(connection.peer), error))
                connection.close("tls: certificate")
        return closed

    async def _attach(self, connection: SccpConnection, sock: socket.socket) -> None:
        """Give the socket to the loop, with the connection as its protocol."""
        try:
            tune(sock)
            await self.loop.connect_accepted_socket(lambda: connection, sock)
        except OSError as error:  # gone again already, or no descriptor left
            sock.close()
            connection.connection_lost(error)

    def _tick(self) -> None:
        for ticket, cause in self._gate.timeout(self.clock()):
            self._late(ticket, cause)
        self.gate_left()
        self._ticker = self.loop.call_later(TICK, self._tick)

    def _late(self, ticket: Ticket, cause: str) -> None:
        if isinstance(ticket.payload, Guest):
            self.counters.silent_closed += 1
            peer = format_address(ticket.payload.remote)
            ticket.payload.acceptor.dismiss(ticket.payload)
            text = f"SCCP connection from {peer} closed: it said nothing that would begin a session"
            self._report(Event("gate.timeout", Severity.INFO, text, peer=peer, cause=cause))
        elif isinstance(ticket.payload, SccpConnection):
            text = f"the handshake took more than {self._limits.handshake:.0f} s"
            peer = format_address(ticket.payload.peer)
            event = refused(peer, "handshake-timeout", text, "look for packet loss or an MTU problem on the way")
            self.refused(ticket.payload, event, theirs=True)
            ticket.payload.close("tls: handshake-timeout")
