"""A byte relay: a TCP port of ours that leads to one port behind us, unread. CAPF (3804) and service maps use it.

Nothing is terminated: the phone must see the server's own certificate. What is bounded is everything else: who, how
many, how long, how much; and the first octet, where the protocol behind is known to be TLS.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.values import Address, Event, Severity
from cubeproxy.transport.clienthello import server_name
from cubeproxy.transport.gate import Tally, source_of
from cubeproxy.transport.tcp import listening_socket, tune

TICK = 0.5  # s between two looks at the clock


@dataclass(slots=True, frozen=True)
class RelayLimits:
    """Of one relay. Times in seconds, sizes in octets; the defaults are those of a short exchange."""

    per_address: int = 4
    total: int = 32
    idle: float = 30.0  # without an octet in either direction
    duration: float = 120.0
    octets: int = 262_144  # both directions together; 0 is no limit
    connect: float = 5.0
    buffer: int = 65_536  # unsent octets in one direction before the other end is no longer read
    first_octet: int | None = 22  # what a client must begin with: a TLS handshake record; None is anything
    silence: float = 5.0  # until that first octet, before the server behind is bothered


@dataclass(slots=True)
class RelayCounters:
    accepted: int = 0
    refused: int = 0
    connected: int = 0
    connect_failed: int = 0
    closed: int = 0
    octets_up: int = 0  # from the client to the server
    octets_down: int = 0


@dataclass(slots=True, eq=False)
class Session:
    """One relayed connection."""

    client: Address
    began: float
    last_used: float
    source: str
    up: int = 0
    down: int = 0
    cause: str = ""
    server_name: str = ""  # that the client's TLS asked for
    ends: list[End] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class End(asyncio.Protocol):
    """One of the two ends of a session. What it reads, the other end writes."""

    def __init__(self, relay: ByteRelay, session: Session, *, client: bool) -> None:
        self.client = client
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self._relay = relay
        self._session = session
        self._half_closed = False  # we have sent FIN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self._relay.limits.buffer)
        if self.other is None:  # the client: not read until the server is there
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self._relay.forwarded(self._session, len(data), up=self.client) and self.other is not None:
            self.other.write(data)

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self._half_closed and not self.lost:
            self.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.lost:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.lost:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        """A half-close travels on; the session ends when both directions are closed."""
        if self.other is None or self.other.transport is None or self.other.lost:
            return False
        if not self._session.cause:
            self._session.cause = "closed by the client" if self.client else "closed by the server"
        self.other.finish()
        return not self._half_closed

    def finish(self) -> None:
        """Send FIN; where the peer's FIN has come too, this ends the connection."""
        if self.transport is not None and not self._half_closed and not self.lost:
            self._half_closed = True
            try:
                self.transport.write_eof()
            except (OSError, RuntimeError):  # reset by its peer a moment ago
                self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self._session.cause:
            side = "client" if self.client else "server"
            self._session.cause = f"connection to the {side} lost: {error}" if error else f"closed by the {side}"
        self._relay.end_lost(self._session, self)


class ByteRelay:
    """`report` gets an Event when a session ends ("relay.closed") or is turned away ("relay.refused")."""

    def __init__(
        self,
        upstream: Address,
        report: Callable[[Event], None],
        limits: RelayLimits | None = None,
        *,
        name: str = "relay",
        source: str = "",
        trusted: Callable[[str], bool] | None = None,
    ) -> None:
        self.upstream = upstream
        self.limits = limits or RelayLimits()
        self.counters = RelayCounters()
        self.name = name
        self._report = report
        self._bind = source  # local address for connections to the server, "" is the kernel's choice
        self._trusted = trusted
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._sessions: set[Session] = set()
        self._sources = Tally()
        self._sock: socket.socket | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    async def listen(self, address: Address) -> Address:
        """Port 0 takes any; the answer is the address that was bound."""
        self._sock = listening_socket(address)
        self._loop.add_reader(self._sock.fileno(), self._acceptable)
        host, port = self._sock.getsockname()[:2]
        return host, port

    async def close(self) -> None:
        """Stop listening and cut every session."""
        for timer in (self._ticker, self._pause):
            if timer is not None:
                timer.cancel()
        if self._sock is not None and self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        tasks = [session.task for session in self._sessions if session.task is not None]
        for session in list(self._sessions):
            self._cut(session, "shutdown")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the aborted transports report their end

    def forwarded(self, session: Session, octets: int, *, up: bool) -> bool:
        """Count; False when the session has had enough and was cut."""
        session.last_used = self._clock()
        if up:
            session.up += octets
            self.counters.octets_up += octets
        else:
            session.down += octets
            self.counters.octets_down += octets
        if self.limits.octets and session.up + session.down > self.limits.octets:
            self._cut(session, "too many octets")
            return False
        return True

    def end_lost(self, session: Session, end: End) -> None:
        other = end.other
        if other is not None and not other.lost and other.transport is not None:
            other.transport.close()  # after what is still to be written to it
        if all(each.lost or each.transport is None for each in session.ends):
            self._finished(session)

    def _acceptable(self) -> None:
        assert self._sock is not None
        for _ in range(16):
            try:
                sock, remote = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptors: look away for a moment
                self._loop.remove_reader(self._sock.fileno())
                self._pause = self._loop.call_later(TICK, self._loop.add_reader, self._sock, self._acceptable)
                return
            self._welcome(sock, (remote[0], remote[1]))

    def _welcome(self, sock: socket.socket, remote: Address) -> None:
        source = source_of(remote[0])
        cause = ""
        if self._trusted is not None and not self._trusted(remote[0]):
            cause = "untrusted"
        elif self._sources[source] >= self.limits.per_address:
            cause = "address-sessions"
        elif len(self._sessions) >= self.limits.total:
            cause = "sessions"
        if cause:
            sock.close()
            self.counters.refused += 1
            self._tell(
                "relay.refused", Severity.WARNING, f"{self.name}: {format_address(remote)} refused", remote, cause
            )
            return
        self.counters.accepted += 1
        now = self._clock()
        session = Session(remote, now, now, source)
        self._sessions.add(session)
        self._sources.move(source, 1)
        sock.setblocking(False)
        session.task = self._loop.create_task(self._run(session, sock), name=f"{self.name}-relay")
        self._tick_soon()

    async def _run(self, session: Session, sock: socket.socket) -> None:
        """Wait for the first octet, connect to the server, then let the two ends talk."""
        server: socket.socket | None = None
        try:
            first = await self._first_octets(sock)
            session.server_name = server_name(first)
            server = await self._dial()
        except (OSError, TimeoutError) as error:
            session.cause = session.cause or str(error) or "no answer"
        except asyncio.CancelledError:
            session.cause = session.cause or "shutdown"
        if server is None:
            sock.close()
            session.task = None
            self._finished(session)
            return
        self.counters.connected += 1
        session.last_used = self._clock()
        await self._join(session, sock, server, first)
        session.task = None

    async def _first_octets(self, sock: socket.socket) -> bytes:
        """What the client says first; OSError when it is not what this relay is for."""
        wanted = self.limits.first_octet
        if wanted is None:
            return b""
        async with asyncio.timeout(self.limits.silence):
            data = await self._loop.sock_recv(sock, 16_384)
        if not data:
            raise OSError("the client closed without a word")
        if data[0] != wanted:
            raise OSError("the client did not begin with a TLS handshake")
        return data

    async def _dial(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.upstream[0] else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM)
        try:
            server.setblocking(False)
            if self._bind:
                server.bind((self._bind, 0))
            async with asyncio.timeout(self.limits.connect):
                await self._loop.sock_connect(server, self.upstream)
        except BaseException as error:
            server.close()
            if isinstance(error, (OSError, TimeoutError)):
                self.counters.connect_failed += 1
                raise OSError(f"the server {format_address(self.upstream)} cannot be reached: {error}") from None
            raise
        return server

    async def _join(self, session: Session, sock: socket.socket, server: socket.socket, first: bytes) -> None:
        near, far = End(self, session, client=True), End(self, session, client=False)
        session.ends = [near, far]
        try:
            tune(sock)
            tune(server)
            await self._loop.connect_accepted_socket(lambda: near, sock)
            far.other = near
            await self._loop.create_connection(lambda: far, sock=server)
        except OSError as error:
            session.cause = session.cause or str(error)
            server.close()
            self._cut(session, session.cause)
            return
        near.other = far
        if near.lost or session.cause:  # lost, or cut, in the meantime
            self._cut(session, session.cause)
            return
        if first and self.forwarded(session, len(first), up=True):
            far.write(first)
        if near.transport is not None:
            near.transport.resume_reading()

    def _cut(self, session: Session, cause: str) -> None:
        session.cause = session.cause or cause
        if not session.ends:
            if session.task is not None:
                session.task.cancel()
            return
        alive = [end.transport for end in session.ends if end.transport is not None and not end.lost]
        for transport in alive:
            transport.abort()
        if not alive:
            self._finished(session)

    def _finished(self, session: Session) -> None:
        if session not in self._sessions:
            return
        self._sessions.discard(session)
        self._sources.move(session.source, -1)
        self.counters.closed += 1
        seconds = self._clock() - session.began
        text = (
            f"{self.name}: {format_address(session.client)} to {format_address(self.upstream)} ended after "
            f"{seconds:.1f} s, {session.up} octets up, {session.down} down: {session.cause}"
        )
        self._tell(
            "relay.closed",
            Severity.INFO,
            text,
            session.client,
            session.cause,
            server_name=session.server_name,
            up=session.up,
            down=session.down,
            seconds=round(seconds, 3),
        )

    def _tell(self, name: str, severity: Severity, text: str, client: Address, cause: str, **fields: object) -> None:
        fields = {"relay": self.name, **fields}
        self._report(Event(name, severity, text, peer=format_address(client), cause=cause, fields=fields))

    def _tick_soon(self) -> None:
        if self._ticker is None:
            self._ticker = self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        now = self._clock()
        for session in list(self._sessions):
            if now - session.began > self.limits.duration:
                self._cut(session, "too long")
            elif session.ends and now - session.last_used > self.limits.idle:
                self._cut(session, "idle")
        if self._sessions:
            self._tick_soon()
