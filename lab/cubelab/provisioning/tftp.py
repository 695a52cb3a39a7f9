"""TFTP on asyncio: the product's machines with sockets, for the virtual cluster and for virtual phones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from cubeproxy.protocols.errors import CubeError, RemoteProtocolError
from cubeproxy.protocols.tftp import (
    Completed,
    Effect,
    Error,
    ErrorCode,
    Failed,
    Pace,
    Received,
    Receiver,
    Request,
    Send,
    Sender,
    Terms,
    parse_packet,
    refusal,
)
from cubeproxy.protocols.tftp.options import PLAIN
from cubeproxy.protocols.tftp.transfer import Transfer
from cubeproxy.protocols.values import Address

PORT = 69
MOST_SESSIONS = 2000
LARGEST = 65_535  # octets of a datagram
CLUSTER_PACE = Pace(first=0.5, last=4.0, session=60.0)
PHONE_PACE = Pace(first=0.5, last=2.0, tries=4, session=60.0)  # a phone asks again after half a second
NOT_FOUND = Error(ErrorCode.NOT_FOUND, "File not found").serialise()

Find = Callable[[str, Address], bytes | None]  # name and who asks


class NoFile(CubeError):
    """The server has no such file."""


class FetchFailed(CubeError):
    """The server was not reached, or gave something that is no file."""


class _Socket:
    """A UDP socket and who reads it."""

    def __init__(self, address: Address, arrived: Callable[[bytes, Address], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = arrived
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            self._sock.bind(address)
        except OSError:
            self._sock.close()
            raise
        self._loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def address(self) -> Address:
        host, port = self._sock.getsockname()
        return host, port

    def send(self, data: bytes, to: Address) -> None:
        """What cannot be sent is as lost on the way."""
        if self._sock.fileno() >= 0:
            try:
                self._sock.sendto(data, to)
            except OSError:
                return

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _readable(self) -> None:
        for _ in range(64):
            if self._sock.fileno() < 0:
                return
            try:
                data, source = self._sock.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error about an earlier datagram: the machine's clock decides
                continue
            self._arrived(data, source)


class _Running:
    """One transfer: its socket, its machine and its clock. `tell` hears how it went, `closed` that it is gone."""

    def __init__(self, machine: Transfer, host: str, tell: Callable[[Effect], None]) -> None:
        self.machine = machine
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._socket = _Socket((host, 0), self._arrived)
        self.closed: Callable[[], None] = lambda: None

    def carry(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._socket.send(effect.data, effect.to)
            else:
                self._tell(effect)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.machine.deadline
        if deadline is None:
            self.close()
        else:
            self._timer = self._loop.call_at(deadline, self._ring)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()
        self.closed()

    def _arrived(self, data: bytes, source: Address) -> None:
        self.carry(self.machine.receive(data, source, self._loop.time()))

    def _ring(self) -> None:
        self.carry(self.machine.timeout(self._loop.time()))


class TftpServer:
    """Serves what `find` gives. One transfer an asker; the same request again is the same transfer."""

    def __init__(self, find: Find, pace: Pace = CLUSTER_PACE) -> None:
        self._find = find
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._socket: _Socket | None = None
        self._running: dict[Address, _Running] = {}
        self.completed = 0

    def listen(self, address: Address) -> Address:
        """OSError as from bind: below 1024 it takes root."""
        self._socket = _Socket(address, self._requested)
        return self._socket.address

    def close(self) -> None:
        for running in list(self._running.values()):
            running.close()
        if self._socket is not None:
            self._socket.close()

    def _requested(self, data: bytes, source: Address) -> None:
        try:
            request = parse_packet(data)
        except RemoteProtocolError:
            return
        if not isinstance(request, Request) or self._socket is None:
            return
        before = self._running.get(source)
        if before is not None and isinstance(before.machine, Sender):
            before.carry(before.machine.repeat(self._loop.time()))
            return
        content = None if (refused := refusal(request)) else self._find(request.file_name, source)
        if content is None or len(self._running) >= MOST_SESSIONS:
            self._socket.send(refused.serialise() if refused else NOT_FOUND, source)
            return
        self._open(Sender(content, request, source, self._pace), source)

    def _open(self, machine: Sender, source: Address) -> None:
        assert self._socket is not None
        try:
            running = _Running(machine, self._socket.address[0], self._over)
        except OSError:  # no descriptors: the phone asks again
            return
        self._running[source] = running
        running.closed = lambda: self._forget(source, running)
        running.carry(machine.start(self._loop.time()))

    def _forget(self, source: Address, running: _Running) -> None:
        if self._running.get(source) is running:
            del self._running[source]

    def _over(self, effect: Effect) -> None:
        self.completed += isinstance(effect, Completed)


class TftpClient:
    """A phone's end. A transfer that is over stays a while to repeat its last ACK; `close` ends that too."""

    def __init__(self, host: str, wanted: Terms = PLAIN, pace: Pace = PHONE_PACE) -> None:
        self._host = host
        self._wanted = wanted
        self._pace = pace
        self._running: set[_Running] = set()

    async def fetch(self, name: str, server: Address) -> bytes:
        """NoFile, FetchFailed."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[bytes] = loop.create_future()

        def tell(effect: Effect) -> None:
            if result.done():
                return
            match effect:
                case Received():
                    result.set_result(effect.content)
                case Failed(code=ErrorCode.NOT_FOUND):
                    result.set_exception(NoFile(effect.text))
                case Failed():
                    result.set_exception(FetchFailed(effect.text))

        machine = Receiver(name, server, self._wanted, self._pace)
        try:
            running = _Running(machine, self._host, tell)
        except OSError as error:
            raise FetchFailed(f"no socket on {self._host}: {error.strerror}") from None
        self._running.add(running)
        running.closed = lambda: self._running.discard(running)
        running.carry(machine.start(loop.time()))
        return await result

    def close(self) -> None:
        for running in list(self._running):
            running.close()
