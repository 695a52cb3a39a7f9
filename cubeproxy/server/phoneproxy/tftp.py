"""Port 69 of the access side: the sockets and the clock around `phoneproxy.desk`. One socket a transfer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from cubeproxy.phoneproxy.desk import Answer, CloseTransfer, Desk, DeskEffect, FetchFile, OpenTransfer, Transmit
from cubeproxy.protocols.tftp import Pace
from cubeproxy.protocols.values import Address, Event, Severity
from cubeproxy.server.phoneproxy.library import Library, Missing
from cubeproxy.transport.datagrams import datagrams, send, udp_socket
from cubeproxy.transport.tls import format_address

TICK = 0.1  # s between two looks at the desk's alarms while there are sessions


@dataclass(slots=True)
class Session:
    """A phone's transfer, for `show`."""

    peer: Address
    name: str
    upstream: str  # the name asked for at the cluster
    since: float


class TftpService:
    def __init__(self, library: Library, report: Callable[[Event], None], *, most: int, timeout: float) -> None:
        self._library = library
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._desk = Desk(most, Pace(session=timeout))
        self._sock: socket.socket | None = None
        self._sockets: dict[int, socket.socket] = {}
        self._finding: dict[int, asyncio.Task[None]] = {}
        self._ticker: asyncio.TimerHandle | None = None
        self._dropped = 0
        self.address: Address = ("", 0)
        self.sessions: dict[int, Session] = {}
        self.completed = 0

    def listen(self, address: Address) -> Address:
        """Port 0 takes any. OSError as from bind."""
        self._sock = udp_socket(address)
        self.address = self._sock.getsockname()[:2]
        self._loop.add_reader(self._sock.fileno(), self._requested, self._sock)
        return self.address

    async def close(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        for sock in [*self._sockets.values(), *([self._sock] if self._sock else [])]:
            self._shut(sock)
        self._sockets.clear()
        tasks = list(self._finding.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def dropped(self) -> int:
        """Requests beyond the session limit."""
        return self._desk.dropped

    # datagrams

    def _requested(self, sock: socket.socket) -> None:
        for data, source in datagrams(sock):
            self._carry(self._desk.receive(data, source, self._loop.time()))
        if self._desk.dropped > self._dropped:
            self._dropped = self._desk.dropped
            self._report(_busy(self._desk.most))

    def _arrived(self, ticket: int, sock: socket.socket) -> None:
        for data, source in datagrams(sock):
            self._carry(self._desk.datagram(ticket, data, source, self._loop.time()))

    # effects

    def _carry(self, effects: list[DeskEffect]) -> None:
        for effect in effects:
            match effect:
                case FetchFile():
                    wanted = effect.wanted
                    self.sessions[effect.ticket] = Session(
                        effect.peer, wanted.name, self._library.upstream_name(wanted), self._loop.time()
                    )
                    task = self._loop.create_task(self._find(effect), name=f"tftp-{effect.ticket}")
                    self._finding[effect.ticket] = task
                case OpenTransfer():
                    self._open(effect.ticket)
                case Transmit():
                    send(self._sockets.get(effect.ticket), effect.data, effect.to)
                case Answer():
                    send(self._sock, effect.data, effect.to)
                case CloseTransfer():
                    self._over(effect)
        if len(self._desk) and self._ticker is None:
            self._ticker = self._loop.call_later(TICK, self._tick)

    async def _find(self, effect: FetchFile) -> None:
        try:
            content = await self._library.find(effect.wanted, format_address(effect.peer))
        except Missing:
            self._carry(self._desk.missing(effect.ticket))
        except Exception as error:  # a fault of ours is no file, and no reason to leave a session behind
            self._carry(self._desk.missing(effect.ticket))
            self._loop.call_exception_handler({"message": f"{effect.wanted.name}: {error}", "exception": error})
        else:
            self._carry(self._desk.ready(effect.ticket, content, self._loop.time()))
        finally:
            self._finding.pop(effect.ticket, None)

    def _open(self, ticket: int) -> None:
        try:
            sock = udp_socket((self.address[0], 0))
        except OSError:  # no descriptors: the phone asks again
            return
        self._sockets[ticket] = sock
        self._loop.add_reader(sock.fileno(), self._arrived, ticket, sock)

    def _over(self, effect: CloseTransfer) -> None:
        session = self.sessions.pop(effect.ticket, None)
        sock = self._sockets.pop(effect.ticket, None)
        if sock is not None:
            self._shut(sock)
        task = self._finding.get(effect.ticket)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        seconds = self._loop.time() - session.since if session else 0.0
        if effect.cause == "completed":
            self.completed += 1
        if effect.cause != "not-found":  # that the library has told, with the reason
            self._report(_ended(effect, seconds))

    def _tick(self) -> None:
        self._ticker = None
        self._carry(self._desk.timeout(self._loop.time()))

    def _shut(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock.fileno())
            sock.close()


def _ended(effect: CloseTransfer, seconds: float) -> Event:
    peer, name = format_address(effect.peer), effect.wanted.name
    fields = {"file": name, "octets": effect.octets, "seconds": round(seconds, 3), "by": "tftp"}
    if effect.cause == "completed":
        text = f"{name} served by TFTP, {effect.octets} octets in {seconds:.2f} s"
        return Event("file.served", Severity.INFO, text, peer, effect.wanted.device, fields=fields)
    severity = Severity.DEBUG if effect.cause == "replaced" else Severity.INFO
    text = f"{name} did not arrive: {effect.cause}"
    return Event("file.unfinished", severity, text, peer, effect.wanted.device, cause=effect.cause, fields=fields)


def _busy(most: int) -> Event:
    return Event(
        "tftp.busy",
        Severity.WARNING,
        f"{most} TFTP sessions are running, further requests wait until phones ask again",
        cause="max-concurrent-sessions",
        fix="raise max-concurrent-sessions (500 at most)",
    )
