"""The media worker: a process that relays, and needs nobody to go on. `python -m cubeproxy.media.worker [--codecs] FD`.

With `--codecs` it also takes sessions whose legs speak differently, and loads the codecs before the first one.
FD is one end of a SEQPACKET socket pair (`commands`). Sockets come bound; the worker opens none, writes
no file and keeps keys in its own memory only (no core dumps). It reads every socket from one bare epoll
loop: a packet costs a receive, the relay and a send (the same relay under uvloop took about a tenth more).

When signalling is gone (end of file on the seam) the sessions go on until the lease runs out, or until
none is left; a session silent on both legs for the idle time is closed then. SIGTERM is obeyed only after that:
a service manager that stops everything at once must not cut calls that signalling is still draining.
"""

from __future__ import annotations

import array
import contextlib
import gc
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import ClassVar

from cubeproxy.media.codecs import table
from cubeproxy.media.commands import (
    CODECS,
    MAX_MESSAGE,
    Beat,
    Close,
    Fault,
    Hello,
    Message,
    Open,
    OpenCoding,
    Renew,
    Reports,
    Shutdown,
    Update,
    decode,
    encode,
)
from cubeproxy.media.counters import MALFORMED, RECEIVED, UNSENT, Board, Words
from cubeproxy.media.relay import Session
from cubeproxy.media.transcoding import CodingSession
from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.values import Address

MAX_DATAGRAM = 2048
CODING_TICK = 0.02  # s between two looks at what sessions with coders have to do unasked
TICK = 0.25  # s between two looks at lease and idle sessions
MAX_DESCRIPTORS = 4

Receive = Callable[[int, bytes, Address, float], "tuple[bytes, Address] | None"]
More = list["tuple[bytes, Address]"]
# what one descriptor needs: how to read it, who takes the datagram, as which leg, how the answer leaves, who counts,
# and where further ones for the same way are
Port = tuple[Callable[[int], "tuple[bytes, Address]"], Receive, int, Callable[[bytes, Address], int], Words, More]
NO_MORE: More = []


class Call:
    """A session with its sockets: RTP and RTCP of leg 0, then of leg 1."""

    __slots__ = ("heard", "heard_at", "session", "sockets")

    def __init__(self, session: Session, sockets: list[socket.socket]) -> None:
        self.session = session
        self.sockets = sockets
        self.heard = 0  # packets that both legs had accepted at `heard_at`
        self.heard_at = 0.0

    def silent_since(self, now: float) -> float:
        """When a packet was accepted last, as far as these looks can tell."""
        heard = sum(leg.words[RECEIVED] for leg in self.session.legs)
        if heard != self.heard or not self.heard_at:
            self.heard, self.heard_at = heard, now
        return self.heard_at


class Worker:
    """Sessions, their sockets, and the seam to signalling."""

    def __init__(self, seam: socket.socket) -> None:
        seam.setblocking(False)
        self.seam = seam
        self.calls: dict[int, Call] = {}
        self.board: Board | None = None
        self.orphaned = False
        self.done = False
        self._lease = self._idle = 3600.0
        self._interval = 0.0  # s between reports, 0 while RTCP is dropped
        self._lease_end = time.monotonic() + 3600.0
        self._ports: dict[int, Port] = {}
        self._coding: dict[int, CodingSession] = {}
        self._epoll = select.epoll()
        self._seam_descriptor = seam.fileno()
        self._epoll.register(self._seam_descriptor, select.EPOLLIN)
        self._faults: set[str] = set()

    def run(self) -> None:
        """Until the lease ends, nothing is left to do, or signalling says so."""
        self._report(Beat(0, 0))
        next_look = next_due = 0.0
        while not self.done:
            events = self._epoll.poll(CODING_TICK if self._coding else TICK)
            now = time.monotonic()
            self._serve(events, now)
            if self._coding and now >= next_due:
                next_due = now + CODING_TICK
                self._ring(now)
            if now >= next_look:
                next_look = now + TICK
                self._look(now)
        for session in list(self.calls):
            self._close(Close(session), [], time.monotonic())

    def _serve(self, events: list[tuple[int, int]], now: float) -> None:
        """Commands first, then one datagram from every port that has one.

        In this order a packet never meets a session older than the command that was sent before it; and a
        busy port cannot keep the others waiting.
        """
        ready = dict(events)
        if ready.pop(self._seam_descriptor, 0) and not self.orphaned:
            self._read_seam(now)
        ports = self._ports
        for descriptor in ready:
            port = ports.get(descriptor)
            if port is None:
                continue  # closed by one of these commands
            read, receive, leg, send, words, more = port
            try:
                datagram, source = read(MAX_DATAGRAM)
            except OSError:
                continue  # nothing there any more, or an ICMP error that tells us nothing
            try:
                out = receive(leg, datagram, source, now)
                if out is not None:
                    send(*out)
                while more:
                    send(*more.pop(0))
            except OSError:
                words[UNSENT] += 1  # no room, no route or nobody there: a packet lost, and that is all
            except Exception as error:  # a packet never ends a call, nor a mistake of ours all calls
                self._mistake(descriptor, error)

    def _mistake(self, descriptor: int, error: Exception) -> None:
        for call in self.calls.values():
            for position, sock in enumerate(call.sockets):
                if sock.fileno() == descriptor:
                    call.session.legs[position // 2].words[MALFORMED] += 1
        self._fault(error)

    def _fault(self, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = (
            f"{type(error).__name__} at {place.name}:{place.lineno}"  # no message: it could hold what must not be shown
        )
        if text not in self._faults and len(self._faults) < 100:
            self._faults.add(text)
            self._report(Fault(text))

    # the seam

    def _read_seam(self, now: float) -> None:
        while not self.done and not self.orphaned:
            try:
                data, descriptors = _receive(self.seam)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue  # signalling ended with reports of ours unread; what it had sent before still waits
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._orphan(now)
                return
            try:
                self._obey(decode(data), descriptors, now)
            except (LocalProtocolError, OSError, ValueError) as error:
                self._report(Fault(f"command failed: {error}"))

    def _obey(self, command: Message, descriptors: list[int], now: float) -> None:
        action = self._ACTIONS.get(type(command))
        if action is None:
            raise LocalProtocolError(f"a worker takes no {type(command).__name__}")
        action(self, command, descriptors, now)  # the key of the table is the type that its method takes

    def _hello(self, command: Hello, descriptors: list[int], now: float) -> None:
        self.board = Board(descriptors[0])
        self._lease, self._idle = command.lease / 1000, command.idle / 1000
        self._lease_end = now + self._lease

    def _open(self, command: Open | OpenCoding, descriptors: list[int], now: float) -> None:
        families = (command.family0, command.family0, command.family1, command.family1)
        sockets = [
            socket.socket(family, socket.SOCK_DGRAM, 0, fileno=descriptor)
            for family, descriptor in zip(families, descriptors, strict=True)
        ]
        words = self.board.claim(command.slot, command.session) if self.board else None
        session = CodingSession(words) if isinstance(command, OpenCoding) else Session(words)
        if self._interval:
            session.report_every(self._interval, now, time.time())
        self.calls[command.session] = Call(session, sockets)
        if isinstance(session, CodingSession):
            self._coding[command.session] = session
        for position, sock in enumerate(sockets):
            leg, rtcp = divmod(position, 2)
            sock.setblocking(False)
            read = sock.recvfrom if sock.family == socket.AF_INET else _short_addresses(sock)
            receive: Receive = session.receive_rtcp if rtcp else session.receive
            sink = sockets[2 - 2 * leg + rtcp]
            more = session.more[leg] if isinstance(session, CodingSession) and not rtcp else NO_MORE
            self._ports[sock.fileno()] = (read, receive, leg, sink.sendto, session.legs[1 - leg].words, more)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _update(self, command: Update, _descriptors: list[int], now: float) -> None:
        call = self.calls.get(command.session)
        if call is not None:
            call.session.update(command.legs, now)

    def _close(self, command: Close, _descriptors: list[int], now: float) -> None:
        call = self.calls.pop(command.session, None)
        if call is not None:
            self._tell_call(call, now, last=True)
            if isinstance(call.session, CodingSession):
                call.session.close()
                self._coding.pop(command.session)
            for sock in call.sockets:
                self._ports.pop(sock.fileno(), None)
                sock.close()  # leaves the epoll set by itself: nobody else holds it

    def _renew(self, command: Renew, _descriptors: list[int], now: float) -> None:
        self._lease_end = now + self._lease
        self._report(Beat(command.number, len(self.calls)))

    def _shutdown(self, _command: Shutdown, _descriptors: list[int], _now: float) -> None:
        self.done = True

    def _reports(self, command: Reports, _descriptors: list[int], _now: float) -> None:
        self._interval = command.interval / 1000

    _ACTIONS: ClassVar[dict[type, Callable[..., None]]] = {
        Hello: _hello,
        Open: _open,
        OpenCoding: _open,
        Update: _update,
        Close: _close,
        Renew: _renew,
        Shutdown: _shutdown,
        Reports: _reports,
    }

    def _report(self, report: Beat | Fault) -> None:
        if not self.orphaned:
            with contextlib.suppress(OSError):  # about a full or broken seam its reader decides
                self.seam.send(encode(report))

    # being alone

    def _orphan(self, now: float) -> None:
        self.orphaned = True
        self._epoll.unregister(self._seam_descriptor)
        self._seam_descriptor = -1  # the number may be a media socket's next
        self.seam.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for call in self.calls.values():
            call.silent_since(now)

    def _look(self, now: float) -> None:
        if now >= self._lease_end:
            self.done = True
        if self._interval:
            self._tell(now)
        if self.orphaned:
            silent = [number for number, call in self.calls.items() if now - call.silent_since(now) >= self._idle]
            for number in silent:
                self._close(Close(number), [], now)
            if not self.calls:
                self.done = True

    def _ring(self, now: float) -> None:
        """Send what no packet asks for: after a packet that is missing, or a digit's lost end."""
        for number, session in self._coding.items():
            deadline = session.deadline
            if deadline is None or now < deadline:
                continue
            try:
                session.timeout(now)
            except Exception as error:  # as for a packet: no other call ends for it
                self._fault(error)
            sockets = self.calls[number].sockets
            for leg, more in enumerate(session.more):
                while more:
                    try:
                        sockets[2 - 2 * leg].sendto(*more.pop(0))
                    except OSError:
                        session.legs[1 - leg].words[UNSENT] += 1

    def _tell(self, now: float) -> None:
        """Send the reports that are due."""
        for call in self.calls.values():
            self._tell_call(call, now)

    def _tell_call(self, call: Call, now: float, *, last: bool = False) -> None:
        for leg, datagram, peer, muxed in call.session.reports(now, last=last):
            with contextlib.suppress(OSError):  # no room or no route: a report lost
                call.sockets[2 * leg + (not muxed)].sendto(datagram, peer)


def _receive(seam: socket.socket) -> tuple[bytes, list[int]]:
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(MAX_DESCRIPTORS * descriptors.itemsize)
    data, ancillary, _flags, _address = seam.recvmsg(MAX_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, octets in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(octets[: len(octets) - len(octets) % descriptors.itemsize])
    return data, descriptors.tolist()


def _short_addresses(sock: socket.socket) -> Callable[[int], tuple[bytes, Address]]:
    """IPv6 sources without flow and scope."""

    def read(size: int) -> tuple[bytes, Address]:
        datagram, source = sock.recvfrom(size)
        return datagram, source[:2]

    return read


def _settle() -> None:
    """No core (it would hold keys), all descriptors we may have, and no signal meant for signalling."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def main(arguments: list[str]) -> int:
    """Serve the seam whose descriptor is the last argument."""
    if CODECS in arguments:
        table.load()
    _settle()
    seam = socket.socket(fileno=int(arguments[-1]))
    worker = Worker(seam)
    try:
        worker.run()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        worker._report(Fault(f"worker ends: {type(error).__name__} at {place.name}:{place.lineno}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
