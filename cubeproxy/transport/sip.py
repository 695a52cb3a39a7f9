"""SIP over UDP, TCP and TLS: every listener and outgoing connection of one proxy, phone or CUCM.

The handler is told of flows and messages in plain calls; nothing it is told may take long. What it does wrong with
one peer's message closes that peer's connection, and is reported.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Coroutine
from typing import Protocol

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.sip.message import MalformedMessage, Message, Request, Response
from cubeproxy.protocols.values import Address, Event, Flow, Path, Severity, Target, Transport
from cubeproxy.transport.connection import State, StreamConnection
from cubeproxy.transport.counters import Counters
from cubeproxy.transport.deadlines import Aging, Idle
from cubeproxy.transport.gate import Gate, Ticket
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.outgoing import Outgoing, dial
from cubeproxy.transport.refusals import certificate_refused, refused
from cubeproxy.transport.tcp import Acceptor, Guest, listening_socket, tune
from cubeproxy.transport.tls import TlsClient, TlsServer
from cubeproxy.transport.udp import UdpSocket, datagram_socket, target_of

TICK = 0.25  # s between two looks at the deadlines
REJUDGE_BATCH = 16  # certificates judged in one go before others have their turn


class SipHandler(Protocol):
    """What the transport tells its user. `opened` and `closed` are about connections; UDP flows just are."""

    def opened(self, flow: Flow) -> None: ...
    def received(self, flow: Flow, message: Request | Response) -> None: ...
    def malformed(self, flow: Flow, error: RemoteProtocolError, message: Message | None) -> None:
        """`message` is what could be read. The transport answers nothing; after a fatal error it closes."""

    def closed(self, flow: Flow, cause: str) -> None: ...
    def failed(self, path: Path, cause: str) -> None:
        """Something sent on this path did not arrive, or may not have. Never called from inside `send`."""

    def refused(self, event: Event) -> None:
        """The gate, a handshake or a limit turned a peer away."""


ClientChoice = TlsClient | Callable[[Target], TlsClient | None] | None


class SipTransport:
    """Make one inside a running loop. `tls_client` says with which certificate outgoing TLS is done, by target."""

    def __init__(
        self,
        handler: SipHandler,
        limits: Limits | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        tls_client: ClientChoice = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.handler = handler
        self.limits = limits = limits or Limits()
        self.loop = loop or asyncio.get_running_loop()
        self.clock: Callable[[], float] = clock or self.loop.time
        self.counters = Counters()
        self.tls_client: ClientChoice = tls_client
        self.gate = Gate(limits)
        self._numbers = itertools.count(1)
        self._acceptors: list[Acceptor] = []
        self._udp: dict[Address, UdpSocket] = {}
        self._streams: dict[Flow, StreamConnection] = {}  # from the handshake on, until the connection is lost
        self._outgoing: dict[Target, Outgoing] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._dirty: list[StreamConnection] = []
        self._partial: Aging[StreamConnection] = Aging(limits.message_time)
        self._closing: Aging[StreamConnection] = Aging(limits.linger)
        self._client_handshakes: Aging[StreamConnection] = Aging(limits.handshake)
        self._idle: Idle[StreamConnection] = Idle(limits.idle, _last_used)
        self._ticker: asyncio.TimerHandle | None = None
        self._drained: asyncio.Event = asyncio.Event()
        self._closed = False

    async def listen(
        self,
        transport: Transport,
        address: Address,
        tls: TlsServer | None = None,
        *,
        limits: Limits | None = None,
        trusted: Callable[[str], bool] | None = None,
    ) -> Address:
        """Listen on an address; port 0 takes any. The answer is the address that was bound. OSError as from bind.

        `limits` are this listener's for messages and rates (slots are counted by the whole transport); `trusted`
        names the source hosts that are let in, everybody else is discarded without an answer.
        """
        if (transport is Transport.TLS) != (tls is not None):
            raise ValueError("a TLS listener takes a TlsServer, others take none")
        if transport is Transport.UDP:
            udp = UdpSocket(self, datagram_socket(address), limits or self.limits, trusted)
            self._udp[udp.local] = udp
            return udp.local
        sock = listening_socket(address)
        acceptor = Acceptor(
            self, self.gate, sock, transport=transport, limits=limits or self.limits, tls=tls, trusted=trusted
        )
        self._acceptors.append(acceptor)
        return acceptor.local

    def send(self, path: Path, message: Message | bytes) -> None:
        """Send on a flow, or to a target over a flow to it that is open or will be made.

        Never raises for what happens on the way: `handler.failed(path, cause)` follows, later.
        """
        data = message if isinstance(message, bytes) else message.serialise()
        self.counters.goes_out(message)
        if isinstance(path, Flow):
            connection = self._streams.get(path)
            if connection is not None and path.open:
                connection.write(data)
            elif path.transport is Transport.UDP:
                self._send_datagram(path, path, data)
            else:
                self._fail(path, "the connection is closed")
        elif path.transport is Transport.UDP:
            udp = self._udp.get(path.local)
            if udp is None:
                self._fail(path, f"no UDP listener on {format_address(path.local)}")
            else:
                self._send_datagram(path, udp.flow((path.host, path.port)), data)
        else:
            self._send_stream(path, data)

    def close_flow(self, flow: Flow, cause: str) -> None:
        """Close a connection after what is waiting to be sent; `handler.closed` follows with this cause."""
        connection = self._streams.get(flow)
        if connection is not None:
            connection.close(cause)

    def stop_listening(self) -> None:
        """No new connections; what is open goes on. UDP sockets stay, as calls in progress need them."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()

    async def close(self) -> None:
        """Close everything; connections get `linger` seconds to take their last octets."""
        self._closed = True
        self.stop_listening()
        for outgoing in list(self._outgoing.values()):
            outgoing.cancel()
        for connection in list(self._streams.values()):
            connection.close("shutdown")
        if self._streams:
            self._drained.clear()
            try:
                async with asyncio.timeout(self.limits.linger):
                    await self._drained.wait()
            except TimeoutError:
                for connection in list(self._streams.values()):
                    connection.abort("shutdown")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()
        if self._ticker is not None:
            self._ticker.cancel()

    async def rejudge(self) -> int:
        """Judge the certificates of all open connections again; how many were closed. For a sweep, or a new CRL."""
        closed = 0
        for number, connection in enumerate(list(self._streams.values())):
            if connection.channel is not None and connection.state is State.OPEN:
                try:
                    connection.channel.judge_again()
                except TrustError as error:
                    closed += 1
                    self.handler.refused(certificate_refused(format_address(connection.flow.remote), error))
                    connection.close("tls: certificate")
                else:
                    connection.flow.identity = connection.channel.identity
            if number % REJUDGE_BATCH == REJUDGE_BATCH - 1:
                await asyncio.sleep(0)
        return closed

    @property
    def connections(self) -> int:
        """Connections that exist, TLS handshakes included, silent ones not."""
        return len(self._streams)

    def new_flow(self, transport: Transport, local: Address, remote: Address) -> Flow:
        return Flow(next(self._numbers), transport, local, remote)

    def report(self, event: Event) -> None:
        self.handler.refused(event)

    def accepted(self, guest: Guest) -> None:
        acceptor, ticket = guest.acceptor, guest.ticket
        flow = self.new_flow(acceptor.transport, acceptor.local, guest.remote)
        flow.open = False
        channel = None
        if acceptor.tls is not None:
            channel = acceptor.tls.channel(acceptor.limits, format_address(guest.remote), self.clock)
        connection = StreamConnection(
            self, flow, acceptor.limits, channel, first=guest.received, context=ticket, rated=True
        )
        if ticket is not None:
            ticket.payload = connection
        self._streams[flow] = connection
        self._spawn(self._attach(connection, guest.sock), "accept")

    def gate_left(self) -> None:
        for ticket in self.gate.startable():
            if isinstance(ticket.payload, Guest):
                ticket.payload.acceptor.release(ticket.payload)

    def ticking(self) -> None:
        """Something has a deadline: look at the clock from now on."""
        if self._ticker is None and not self._closed:
            self._ticker = self.loop.call_later(TICK, self.tick)

    def connection_open(self, connection: StreamConnection) -> None:
        channel = connection.channel
        if channel is not None:
            self.counters.handshakes += 1
            self.counters.handshakes_resumed += channel.resumed
        now = self.clock()
        self._idle.start(connection, now)
        self.ticking()
        context = connection.context
        if isinstance(context, Ticket):
            self.gate.establish(context)
            self.gate_left()
        elif isinstance(context, Outgoing):
            self._client_handshakes.stop(connection)
        self.handler.opened(connection.flow)
        if isinstance(context, Outgoing):
            for data in context.take():
                connection.write(data)

    def connection_message(self, connection: StreamConnection, message: Request | Response) -> None:
        self.counters.came_in(message)
        self.handler.received(connection.flow, message)

    def connection_malformed(self, connection: StreamConnection, error: RemoteProtocolError) -> None:
        self.handler.malformed(connection.flow, error, _readable_part(error))

    def connection_refused(self, connection: StreamConnection, event: Event, *, theirs: bool) -> None:
        self.counters.handshakes_refused += 1
        if theirs and isinstance(connection.context, Ticket):
            self.gate.penalise(connection.context, self.clock())
        self.handler.refused(event)

    def connection_partial(self, connection: StreamConnection, partial: bool, *, progress: bool) -> None:
        if progress or not partial:
            self._partial.stop(connection)
        if partial:
            self._partial.start(connection, self.clock())

    def connection_throttled(self, connection: StreamConnection, wait: float) -> None:
        self.counters.throttled += 1
        connection.pause()
        self.loop.call_later(wait, connection.resume)

    def connection_dirty(self, connection: StreamConnection) -> None:
        self._dirty.append(connection)
        if len(self._dirty) == 1:
            self.loop.call_soon(self._flush)

    def connection_crashed(self, connection: StreamConnection, error: Exception) -> None:
        self._crashed(connection.flow, error)

    def connection_closing(self, connection: StreamConnection) -> None:
        self._forget_deadlines(connection)
        self._closing.start(connection, self.clock())
        self.ticking()

    def connection_lost(self, connection: StreamConnection) -> None:
        self._forget_deadlines(connection)
        self._closing.stop(connection)
        self._streams.pop(connection.flow, None)
        context = connection.context
        if isinstance(context, Ticket):
            self.gate.leave(context)
            self.gate_left()
        elif isinstance(context, Outgoing):
            self._outgoing_lost(context, connection)
        if connection.opened:
            self.handler.closed(connection.flow, connection.cause)
        if not self._streams:
            self._drained.set()

    def datagram_message(self, flow: Flow, message: Request | Response) -> None:
        self.counters.came_in(message)
        try:
            self.handler.received(flow, message)
        except Exception as error:
            self._crashed(flow, error)

    def datagram_malformed(self, flow: Flow, error: RemoteProtocolError) -> None:
        try:
            self.handler.malformed(flow, error, _readable_part(error))
        except Exception as crash:
            self._crashed(flow, crash)

    def datagram_failed(self, flow: Flow, cause: str) -> None:
        self._fail(flow, cause)
        self._fail(target_of(flow), cause)

    def _send_datagram(self, path: Path, flow: Flow, data: bytes) -> None:
        udp = self._udp.get(flow.local)
        cause = udp.send(flow, data) if udp is not None else "the socket is closed"
        if cause:
            self._fail(path, cause)

    def _send_stream(self, target: Target, data: bytes) -> None:
        outgoing = self._outgoing.get(target)
        if outgoing is None:
            if self._closed:
                self._fail(target, "shutdown")
                return
            outgoing = self._outgoing[target] = Outgoing(target, self.limits.connect_queue)
            outgoing.task = self._spawn(self._connect(outgoing), "connect")
        connection = outgoing.connection
        if connection is not None and connection.state is State.OPEN:
            connection.write(data)
        elif not outgoing.put(data):
            self._fail(target, "too much waits for the connection")

    def _fail(self, path: Path, cause: str) -> None:
        if not self._closed:
            self.loop.call_soon(self.handler.failed, path, cause)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    async def _connect(self, outgoing: Outgoing) -> None:
        target = outgoing.target
        try:
            channel = None
            if target.transport is Transport.TLS:
                client = self.tls_client
                client = client(target) if client is not None and not isinstance(client, TlsClient) else client
                if client is None:
                    raise OSError("no certificate is configured for TLS to this target")
                channel = client.connect((target.host, target.port), self.limits, self.clock)
            sock = await dial(self.loop, target, self.limits.connect)
        except (OSError, TimeoutError) as error:
            self.counters.connects_failed += 1
            self._give_up(outgoing, str(error) or "no answer to the connect")
            return
        except asyncio.CancelledError:
            self._give_up(outgoing, "shutdown")
            raise
        self.counters.connects += 1
        flow = self.new_flow(target.transport, target.local, (target.host, target.port))
        flow.open = False
        connection = StreamConnection(self, flow, self.limits, channel, context=outgoing)
        outgoing.connection = connection
        self._streams[flow] = connection
        if channel is not None:
            self._client_handshakes.start(connection, self.clock())
            self.ticking()
        await self._attach(connection, sock)

    async def _attach(self, connection: StreamConnection, sock: socket.socket) -> None:
        """Give the socket to the loop, with the connection as its protocol."""
        try:
            tune(sock)
            if isinstance(connection.context, Ticket):
                await self.loop.connect_accepted_socket(lambda: connection, sock)
            else:
                await self.loop.create_connection(lambda: connection, sock=sock)
        except OSError as error:  # gone again already, or no descriptor left
            sock.close()
            connection.connection_lost(error)

    def _outgoing_lost(self, outgoing: Outgoing, connection: StreamConnection) -> None:
        channel = connection.channel
        if connection.opened and channel is not None and isinstance(channel.settings, TlsClient):
            channel.settings.keep_session((outgoing.target.host, outgoing.target.port), channel)
        self._give_up(outgoing, connection.cause)

    def _give_up(self, outgoing: Outgoing, cause: str) -> None:
        """The way to this target is gone: whatever still waits for an answer over it should know."""
        if self._outgoing.get(outgoing.target) is outgoing:
            del self._outgoing[outgoing.target]
        outgoing.take()
        self._fail(outgoing.target, cause)

    def tick(self) -> None:
        """Look at all deadlines. The transport's own timer calls this."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        now = self.clock()
        for ticket, cause in self.gate.timeout(now):
            self._gate_timeout(ticket, cause)
        self.gate_left()
        for connection in self._client_handshakes.expired(now):
            self._handshake_timeout(connection)
        for connection in self._partial.expired(now):
            self._limit(connection, "slow-message", f"a message took more than {self.limits.message_time:.0f} s")
        for connection in self._idle.expired(now):
            connection.close("idle")
        for connection in self._closing.expired(now):
            connection.abort("the peer did not close")
        if self._streams or self.gate.half_open_total:
            self.ticking()

    def _gate_timeout(self, ticket: Ticket, cause: str) -> None:
        payload = ticket.payload
        if isinstance(payload, StreamConnection):
            self._handshake_timeout(payload)
        elif isinstance(payload, Guest):
            self.counters.silent_closed += 1
            payload.acceptor.dismiss(payload)
            peer = format_address(payload.remote)
            text = f"connection from {peer} closed: it said nothing that would begin a session"
            self.report(Event("gate.timeout", Severity.INFO, text, peer=peer, cause=cause))

    def _handshake_timeout(self, connection: StreamConnection) -> None:
        event = refused(
            format_address(connection.flow.remote),
            "handshake-timeout",
            f"the handshake took more than {self.limits.handshake:.0f} s",
            "look for packet loss or an MTU problem on the way (certificates are the first large packets)",
        )
        self.connection_refused(connection, event, theirs=True)
        connection.abort("tls: handshake-timeout")

    def _limit(self, connection: StreamConnection, cause: str, text: str) -> None:
        peer = format_address(connection.flow.remote)
        identity = connection.flow.identity
        device = identity.name if identity is not None else ""
        text = f"connection of {peer} closed: {text}"
        self.report(Event("flow.limit", Severity.WARNING, text, peer=peer, device=device, cause=cause))
        connection.close(cause)

    def _crashed(self, flow: Flow, error: Exception) -> None:
        peer = format_address(flow.remote)
        text = f"internal error on a message of {peer}: {type(error).__name__}"
        self.report(Event("handler.crashed", Severity.ERROR, text, peer=peer, cause=type(error).__name__))
        self.loop.call_exception_handler({"message": text, "exception": error})

    def _forget_deadlines(self, connection: StreamConnection) -> None:
        self._partial.stop(connection)
        self._idle.stop(connection)
        self._client_handshakes.stop(connection)

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = self.loop.create_task(work, name=f"sip-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _last_used(connection: StreamConnection) -> float:
    return connection.last_used


def _readable_part(error: RemoteProtocolError) -> Message | None:
    return error.message if isinstance(error, MalformedMessage) else None
