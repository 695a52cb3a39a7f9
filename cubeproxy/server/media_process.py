"""One media worker as signalling holds it: the process, its end of the seam, the memory of its counters.

Messages to a worker never wait: what the seam does not take at once is queued, and a worker that lets the
queue grow, or does not answer heartbeats, is given up. It has its own process session, so that
Ctrl-C in a terminal reaches signalling only, and no open file of ours besides its end of the seam.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from cubeproxy.media.commands import MAX_MESSAGE, Beat, Command, Fault, Hello, Renew, Reports, Shutdown, decode, encode
from cubeproxy.media.counters import Board, create
from cubeproxy.protocols.errors import LocalProtocolError

MAX_QUEUE = 20_000  # messages
SEAM_BUFFER = 1 << 20  # octets
BUSY = (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS)  # ETOOMANYREFS: too many descriptors on their way
RETRY = 0.005  # s

Lost = Callable[["WorkerProcess", str], None]
Faulted = Callable[[str], None]


class WorkerProcess:
    """A running worker. `lost` is called once, when it is gone without having been asked to go."""

    def __init__(self, number: int, slots: int, command: Sequence[str], lost: Lost, faulted: Faulted) -> None:
        self.number = number
        self.ready = asyncio.Event()
        self.alive = True
        self._lost = lost
        self._faulted = faulted
        self._loop = asyncio.get_running_loop()
        self._beat = 0  # last heartbeat sent
        self._answered = 0
        self._queue: deque[tuple[bytes, Sequence[socket.socket]]] = deque()
        self._flushing: asyncio.TimerHandle | None = None
        self.gone: asyncio.Future[int] = self._loop.create_future()
        memory = create(slots)
        self.board = Board(memory)
        self._seam, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._seam.setblocking(False)
        self._seam.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEAM_BUFFER)
        self._memory: int | None = memory
        with theirs:
            self.process = _spawn(command, theirs)
        self._loop.add_reader(self._seam.fileno(), self._read)

    @property
    def pid(self) -> int:
        return self.process.pid

    def greet(self, lease: float, idle: float, reports: float = 0.0) -> None:
        """The first messages: terms of the lease in seconds, memory of the counters, and RTCP unless it is dropped."""
        memory, self._memory = self._memory, None
        if memory is not None:
            hello = encode(Hello(int(lease * 1000), int(idle * 1000)))
            socket.send_fds(self._seam, [hello], [memory])
            os.close(memory)
        if reports:
            self.send(Reports(int(reports * 1000)))

    def send(self, command: Command, sockets: Sequence[socket.socket] = ()) -> None:
        """Hand over a message, and the sockets with it: they are closed here once they are on their way."""
        data = encode(command)
        if not self.alive:
            _close(sockets)
        elif self._queue or not self._transmit(data, sockets):
            self._queue.append((data, sockets))
            if len(self._queue) > MAX_QUEUE:
                self.give_up("the media worker takes no commands")
            elif self._flushing is None:
                self._flushing = self._loop.call_later(RETRY, self._flush)

    def _transmit(self, data: bytes, sockets: Sequence[socket.socket]) -> bool:
        """Whether the message is done with: sent, or the worker is gone anyway."""
        try:
            if sockets:
                socket.send_fds(self._seam, [data], [sock.fileno() for sock in sockets])
            else:
                self._seam.send(data)
        except OSError as error:
            if error.errno in BUSY:
                return False
        _close(sockets)
        return True

    def _flush(self) -> None:
        self._flushing = None
        while self._queue and self._transmit(*self._queue[0]):
            self._queue.popleft()
        if self._queue and self.alive:
            self._flushing = self._loop.call_later(RETRY, self._flush)

    def heartbeat(self, patience: int) -> None:
        """Renew the lease; give the worker up when `patience` heartbeats in a row went unanswered."""
        if self.alive and self._beat - self._answered >= patience:
            self.give_up("the media worker does not answer")
            return
        self._beat += 1
        self.send(Renew(self._beat))

    def _read(self) -> None:
        while self.alive:
            try:
                data = self._seam.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.give_up("the media worker died")
                return
            try:
                report = decode(data)
            except LocalProtocolError as error:
                self._faulted(str(error))
                continue
            if isinstance(report, Beat):
                self.ready.set()
                self._answered = max(self._answered, report.number)
            elif isinstance(report, Fault):
                self._faulted(report.text)

    def give_up(self, cause: str) -> None:
        """End the worker by force, if it has not ended, and say that it is lost."""
        if self.alive:
            self._detach()
            self.process.kill()
            self._reap()
            self._lost(self, cause)

    def shutdown(self, *, orphan: bool = False) -> None:
        """Let the worker go: it ends at once, or as an orphan when its sessions or its lease have ended."""
        if self.alive:
            if not orphan:
                self.send(Shutdown())
            self._detach()
            if not orphan:
                self._reap()

    async def ended(self, within: float = 2.0) -> None:
        """Wait for a worker that was let go; use force after `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.shield(self.gone)
                return
        self.process.kill()
        await self.gone

    def _detach(self) -> None:
        self.alive = False
        self._loop.remove_reader(self._seam.fileno())
        self._seam.close()
        if self._flushing is not None:
            self._flushing.cancel()
        if self._memory is not None:
            os.close(self._memory)
        for _data, sockets in self._queue:
            _close(sockets)
        self._queue.clear()

    def _reap(self) -> None:
        """Look after the child until its status is taken, so that no zombie stays."""
        status = self.process.poll()
        if status is None:
            self._loop.call_later(0.02, self._reap)
        elif not self.gone.done():
            self.gone.set_result(status)


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _spawn(command: Sequence[str], seam: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command, str(seam.fileno())],
        pass_fds=(seam.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
