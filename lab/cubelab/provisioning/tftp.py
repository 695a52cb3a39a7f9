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
    Sender,
    Terms,
    parse_packet,
    refusal,
)
from cubeproxy.protocols.tftp.options import PLAIN
from cubeproxy.protocols.values import Address
from cubeproxy.transport.datagrams import datagrams, send, udp_socket
from cubeproxy.transport.tftp import TftpTransfer

PORT = 69
MOST_SESSIONS = 2000
CLUSTER_PACE = Pace(first=0.5, last=4.0, session=60.0)
PHONE_PACE = Pace(first=0.5, last=2.0, tries=4, session=60.0)  # a phone asks again after half a second
NOT_FOUND = Error(ErrorCode.NOT_FOUND, "File not found").serialise()

Find = Callable[[str, Address], bytes | None]  # name and who asks


class NoFile(CubeError):
    """The server has no such file."""


class FetchFailed(CubeError):
    """The server was not reached, or gave something that is no file."""


class TftpServer:
    """Serves what `find` gives. One transfer an asker; the same request again is the same transfer."""

    def __init__(self, find: Find, pace: Pace = CLUSTER_PACE) -> None:
        self._find = find
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None
        self._running: dict[Address, TftpTransfer] = {}
        self.completed = 0

    def listen(self, address: Address) -> Address:
        """OSError as from bind: below 1024 it takes root."""
        self._sock = udp_socket(address)
        self._loop.add_reader(self._sock.fileno(), self._readable)
        host, port = self._sock.getsockname()
        return host, port

    def close(self) -> None:
        for running in list(self._running.values()):
            running.close()
        if self._sock is not None and self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _readable(self) -> None:
        if self._sock is not None:
            for data, source in datagrams(self._sock):
                self._requested(data, source)

    def _requested(self, data: bytes, source: Address) -> None:
        try:
            request = parse_packet(data)
        except RemoteProtocolError:
            return
        if not isinstance(request, Request):
            return
        before = self._running.get(source)
        if before is not None and isinstance(before.machine, Sender):
            before.carry(before.machine.repeat(self._loop.time()))
            return
        content = None if (refused := refusal(request)) else self._find(request.file_name, source)
        if content is None or len(self._running) >= MOST_SESSIONS:
            send(self._sock, refused.serialise() if refused else NOT_FOUND, source)
            return
        self._open(Sender(content, request, source, self._pace), source)

    def _open(self, machine: Sender, source: Address) -> None:
        assert self._sock is not None
        host = self._sock.getsockname()[0]
        try:
            running = TftpTransfer(machine, (host, 0), self._over, lambda: self._forget(source, machine))
        except OSError:  # no descriptors: the phone asks again
            return
        self._running[source] = running
        running.carry(machine.start(self._loop.time()))

    def _forget(self, source: Address, machine: Sender) -> None:
        running = self._running.get(source)
        if running is not None and running.machine is machine:
            del self._running[source]

    def _over(self, effect: Effect) -> None:
        self.completed += isinstance(effect, Completed)


class TftpClient:
    """A phone's end. A transfer that is over stays a while to repeat its last ACK; `close` ends that too."""

    def __init__(self, host: str, wanted: Terms = PLAIN, pace: Pace = PHONE_PACE) -> None:
        self._host = host
        self._wanted = wanted
        self._pace = pace
        self._running: dict[Receiver, TftpTransfer] = {}

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
            running = TftpTransfer(machine, (self._host, 0), tell, lambda: self._forget(machine))
        except OSError as error:
            raise FetchFailed(f"no socket on {self._host}: {error.strerror}") from None
        self._running[machine] = running
        running.carry(machine.start(loop.time()))
        return await result

    def close(self) -> None:
        for running in list(self._running.values()):
            running.close()

    def _forget(self, machine: Receiver) -> None:
        self._running.pop(machine, None)
