"""Files from the cluster's TFTP server, through the local address of the core side. One socket a file."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from cubeproxy.protocols.errors import CubeError
from cubeproxy.protocols.tftp import ErrorCode, Failed, Pace, Received, Receiver, Terms
from cubeproxy.protocols.tftp.options import PLAIN
from cubeproxy.protocols.tftp.transfer import Effect
from cubeproxy.protocols.values import Address
from cubeproxy.transport.tftp import TftpTransfer
from cubeproxy.transport.tls import format_address

WANTED = Terms(block_size=1428)
PACE = Pace(first=0.5, last=4.0, tries=4, session=60.0)
AT_ONCE = 32  # transfers from the cluster; others wait
MOST_WAITING = 512  # different files asked for and not here: who asks for one goes away, the transfer goes on


class NotFound(CubeError):
    """The cluster has no such file."""


class FetchFailed(CubeError):
    """The cluster did not answer, or not as it should. `cause` as in tftp.Failed, or "socket"."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(slots=True)
class Running:
    """A transfer for `show`: our end and the cluster's."""

    name: str
    local: Address
    server: Address


class Fetcher:
    """`server` is a host literal or a name, `local` the address to ask from ("" is the kernel's choice)."""

    def __init__(self, server: str, port: int, local: str, pace: Pace = PACE) -> None:
        self.server = server
        self.port = port
        self.local = local
        self.pace = pace
        self.running: dict[str, Running] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[str, asyncio.Task[bytes]] = {}
        self._transfers: set[_Transfer] = set()

    async def fetch(self, name: str) -> bytes:
        """The file. Who asks for one that is on its way gets that one. NotFound, FetchFailed."""
        task = self._asked.get(name)
        if task is None and len(self._asked) >= MOST_WAITING:
            raise FetchFailed("busy", f"{MOST_WAITING} files are being fetched from the cluster already")
        if task is None:
            task = self._asked[name] = asyncio.get_running_loop().create_task(self._fetch(name), name=f"fetch-{name}")
            task.add_done_callback(lambda done: self._done(name, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transfer in list(self._transfers):
            transfer.close()

    def _done(self, name: str, task: asyncio.Task[bytes]) -> None:
        self._asked.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; somebody may have gone away

    async def _fetch(self, name: str) -> bytes:
        async with self._slots:
            host = await self._resolve()
            try:
                return await self._transfer(name, (host, self.port), WANTED)
            except FetchFailed as error:
                if error.cause != "options":
                    raise
                return await self._transfer(name, (host, self.port), PLAIN)

    async def _resolve(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.server, self.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise FetchFailed("name", f"the TFTP server {self.server} has no address: {error.strerror}") from None
        return str(found[0][4][0])

    async def _transfer(self, name: str, server: Address, wanted: Terms) -> bytes:
        try:
            transfer = _Transfer(Receiver(name, server, wanted, self.pace), self.local, self._transfers)
        except OSError as error:
            where = self.local or "any address"
            raise FetchFailed("socket", f"no socket on {where} towards the cluster: {error.strerror}") from None
        self.running[name] = Running(name, transfer.local, server)
        try:
            return await transfer.result
        except asyncio.CancelledError:
            transfer.close()
            raise
        finally:
            self.running.pop(name, None)


class _Transfer:
    """A transfer with its result. It stays in the register for a while after that, to repeat its last ACK."""

    def __init__(self, machine: Receiver, local: str, register: set[_Transfer]) -> None:
        self._machine = machine
        self._register = register
        loop = asyncio.get_running_loop()
        self.result: asyncio.Future[bytes] = loop.create_future()
        address = (local or ("::" if ":" in machine.server[0] else "0.0.0.0"), 0)
        self._transfer = TftpTransfer(machine, address, self._told, self._closed)
        register.add(self)
        self._transfer.carry(machine.start(loop.time()))

    @property
    def local(self) -> Address:
        return self._transfer.local

    def close(self) -> None:
        self._transfer.close()

    def _closed(self) -> None:
        self._register.discard(self)
        if not self.result.done():
            self.result.cancel()

    def _told(self, effect: Effect) -> None:
        if self.result.done():
            return
        match effect:
            case Received():
                self.result.set_result(effect.content)
            case Failed():
                self.result.set_exception(self._failure(effect))

    def _failure(self, failed: Failed) -> CubeError:
        name, server = self._machine.request.file_name, format_address(self._machine.server)
        if failed.cause == "peer-error" and failed.code == ErrorCode.NOT_FOUND:
            return NotFound(f"{server} has no {name}")
        cause = "options" if failed.cause == "peer-error" and failed.code == ErrorCode.OPTIONS else failed.cause
        return FetchFailed(cause, f"{name} could not be fetched from {server}: {failed.text}")
