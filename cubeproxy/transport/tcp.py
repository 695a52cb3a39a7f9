"""Accepting TCP connections: the part before a connection has a protocol, or TLS anything allocated.

A silent connection is a socket, a ticket and a reader of the loop. Only the first octet (TCP), or a whole first TLS
record that looks like a handshake, makes it a connection.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Protocol

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.values import Address, Event, Severity, Transport
from cubeproxy.transport.counters import Counters
from cubeproxy.transport.gate import Gate, Refused, Ticket
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.refusals import refused, stranger
from cubeproxy.transport.tls import TlsServer

ACCEPT_BATCH = 64  # connections accepted in one go before others have their turn
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PAUSE = 0.5  # s without accepting after descriptors ran out
HANDSHAKE = 22  # content type of a TLS record (RFC 8446 5.1)
RECORD_HEAD = 5
LARGEST_FIRST_RECORD = RECORD_HEAD + 16_384


class AcceptorOwner(Protocol):
    loop: asyncio.AbstractEventLoop
    clock: Callable[[], float]
    counters: Counters

    def accepted(self, guest: Guest) -> None:
        """The guest may become a connection: its socket is no longer read here."""

    def gate_left(self) -> None:
        """A place became free."""

    def report(self, event: Event) -> None: ...


class Guest:
    """An accepted connection that has not said enough yet."""

    __slots__ = ("acceptor", "received", "remote", "sock", "ticket")

    def __init__(self, acceptor: Acceptor, sock: socket.socket, remote: Address) -> None:
        self.acceptor = acceptor
        self.sock = sock
        self.remote = remote
        self.received = b""
        self.ticket: Ticket | None = None

    def readable(self) -> None:
        self.acceptor.guest_readable(self)


class Acceptor:
    """One listening TCP socket."""

    def __init__(
        self,
        owner: AcceptorOwner,
        gate: Gate,
        sock: socket.socket,
        *,
        transport: Transport,
        limits: Limits,
        tls: TlsServer | None,
        trusted: Callable[[str], bool] | None,
    ) -> None:
        self.transport = transport
        self.limits = limits
        self.tls = tls
        self.local: Address = sock.getsockname()[:2]
        self.guests: set[Guest] = set()
        self._owner = owner
        self._gate = gate
        self._sock = sock
        self._trusted = trusted
        self._paused: asyncio.TimerHandle | None = None
        owner.loop.add_reader(sock.fileno(), self._acceptable)

    def close(self) -> None:
        """Stop listening, and send those away who have not said anything yet."""
        if self._sock.fileno() < 0:
            return
        self._owner.loop.remove_reader(self._sock.fileno())
        if self._paused is not None:
            self._paused.cancel()
        self._sock.close()
        for guest in list(self.guests):
            self.dismiss(guest)

    def dismiss(self, guest: Guest) -> None:
        """Close a guest's socket and free his slot."""
        if guest not in self.guests:
            return
        self.guests.discard(guest)
        if guest.ticket is not None:
            self._gate.leave(guest.ticket)
        self._owner.loop.remove_reader(guest.sock.fileno())
        guest.sock.close()
        self._owner.gate_left()

    def guest_readable(self, guest: Guest) -> None:
        ticket = guest.ticket
        if ticket is None:
            return
        try:
            data = guest.sock.recv(LARGEST_FIRST_RECORD)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.dismiss(guest)
            return
        guest.received += data
        if self.tls is None:
            self.release(guest)
            return
        if guest.received[0] != HANDSHAKE:
            self._owner.counters.handshakes_refused += 1
            self._owner.report(
                refused(
                    format_address(guest.remote),
                    "not-tls",
                    "what the peer sent is not TLS",
                    "check the port and the transport (clear text on a TLS port?)",
                )
            )
            self._gate.penalise(ticket, self._owner.clock())
            self.dismiss(guest)
        elif has_first_record(guest.received):
            if self._gate.first_record(ticket, self._owner.clock()):
                self.release(guest)
            else:
                self._owner.loop.remove_reader(guest.sock.fileno())

    def release(self, guest: Guest) -> None:
        """The guest becomes a connection."""
        self._owner.loop.remove_reader(guest.sock.fileno())
        self.guests.discard(guest)
        self._owner.accepted(guest)

    def _acceptable(self) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, remote = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in NO_ROOM:
                    self._pause(error)
                return
            self._owner.counters.accepted += 1
            self._welcome(sock, (remote[0], remote[1]))

    def _welcome(self, sock: socket.socket, remote: Address) -> None:
        owner = self._owner
        if self._trusted is not None and not self._trusted(remote[0]):
            owner.counters.untrusted += 1
            sock.close()
            owner.report(stranger(f"TCP {format_address(self.local)}", remote[0]))
            return
        answer = self._gate.admit(remote[0], owner.clock())
        if isinstance(answer, Refused):
            owner.counters.gate_refused += 1
            sock.close()
            owner.report(gate_refused(remote, answer.cause))
            return
        if answer.displaced is not None and isinstance(answer.displaced.payload, Guest):
            owner.counters.silent_closed += 1
            displaced = answer.displaced.payload
            displaced.acceptor.dismiss(displaced)
        sock.setblocking(False)
        guest = Guest(self, sock, remote)
        guest.ticket = answer.ticket
        answer.ticket.payload = guest
        self.guests.add(guest)
        owner.loop.add_reader(sock.fileno(), guest.readable)

    def _pause(self, error: OSError) -> None:
        """Without descriptors the listening socket stays readable: look away, or the loop would do nothing else."""
        owner = self._owner
        owner.loop.remove_reader(self._sock.fileno())
        owner.counters.accept_pauses += 1
        owner.report(
            Event(
                "accept.paused",
                Severity.ERROR,
                f"no connections are accepted on {format_address(self.local)} for {PAUSE} s: {error.strerror}",
                cause=errno.errorcode.get(error.errno or 0, ""),
                fix="raise the limit of open files (ulimit -n), or lower the transport's slots",
            )
        )
        self._paused = owner.loop.call_later(PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._paused = None
        self._owner.loop.add_reader(self._sock.fileno(), self._acceptable)


def has_first_record(data: bytes) -> bool:
    """Whether a whole TLS record is there, or already more than one may hold."""
    return len(data) >= RECORD_HEAD and len(data) >= min(
        RECORD_HEAD + int.from_bytes(data[3:5], "big"), LARGEST_FIRST_RECORD
    )


GATE_FIXES = {
    "penalty": "look at the tls.refused events of this address: its certificates do not fit",
    "address-half-open": "too many connections from one address that do not finish their handshake",
    "half-open": "too many connections that do not finish their handshake: is this an attack?",
    "address-established": "raise the connections per address if so many phones share one NAT",
    "established": "raise the number of connections, or spread the phones over several proxies",
}


def gate_refused(remote: Address, cause: str) -> Event:
    return Event(
        "gate.refused",
        Severity.WARNING,
        f"connection from {format_address(remote)} refused: {cause}",
        peer=format_address(remote),
        cause=cause,
        fix=GATE_FIXES[cause],
    )


def listening_socket(address: Address) -> socket.socket:
    """Bound and listening, not blocking."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(4096)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def tune(sock: socket.socket) -> None:
    """No delay for small messages, and the kernel's own probe for peers that vanished (some 2 minutes)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
