"""A phone proxy's file service between a cluster that is a dictionary and clients that are sockets."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cubelab.demo.network import Network, free_network
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.pki.store import Store
from cubeproxy.protocols.tftp import Error, ErrorCode, Pace, Request, Send, Sender, parse_packet
from cubeproxy.protocols.tftp.transfer import Effect
from cubeproxy.protocols.values import Address, Event
from cubeproxy.server.phoneproxy.fetch import Fetcher
from cubeproxy.server.phoneproxy.service import Instance, PhoneProxyService

DEVICE = "SEP001122334455"

CONFIG = """\
hostname cube
crypto pki trustpoint CUBE_SS
 enrollment selfsigned
crypto pki trustpoint CAPF_PUB
 enrollment terminal
crypto pki trustpoint CCM_PUB
 enrollment terminal
voice-ctl-file CTL
 record-entry selfsigned trustpoint CUBE_SS
 record-entry capf trustpoint CAPF_PUB
{records} complete
voice-phone-proxy PP
 tftp-server address ipv4 {server} local-addr ipv4 {local} acc-addr ipv4 {access}
 ctl-file CTL
 access-secure
{lines} complete
dial-peer voice 100 voip
 session protocol sipv2
 session target registrar
 session transport tcp tls
 phone-proxy PP signal-addr ipv4 {access} cucm ipv4 {server}
"""


class Cluster:
    """A TFTP server of files in a dictionary. `asked` counts requests by name; `silent` answers nothing."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: Counter[str] = Counter()
        self.sources: set[str] = set()
        self.silent = False
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []

    def start(self, host: str) -> int:
        sock = self._socket(host)
        self._loop.add_reader(sock.fileno(), self._asked, sock)
        return int(sock.getsockname()[1])

    def close(self) -> None:
        for sock in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                sock.close()

    def _socket(self, host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((host, 0))
        self._sockets.append(sock)
        return sock

    def _asked(self, sock: socket.socket) -> None:
        data, source = sock.recvfrom(65535)
        request = parse_packet(data)
        assert isinstance(request, Request)
        self.asked[request.file_name] += 1
        self.sources.add(source[0])
        if self.silent:
            return
        content = self.files.get(request.file_name)
        if content is None:
            sock.sendto(Error(ErrorCode.NOT_FOUND, "File not found").serialise(), source)
            return
        own = self._socket(sock.getsockname()[0])
        sender = Sender(content, request, source, Pace())
        self._loop.add_reader(own.fileno(), self._more, own, sender)
        self._send(own, sender.start(self._loop.time()))

    def _more(self, sock: socket.socket, sender: Sender) -> None:
        data, source = sock.recvfrom(65535)
        self._send(sock, sender.receive(data, source, self._loop.time()))

    def _send(self, sock: socket.socket, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                sock.sendto(effect.data, effect.to)


class Bench:
    """`async with Bench(nvram, files) as bench`: the service runs; `events` is what the operator sees."""

    def __init__(
        self, nvram: Path, files: Mapping[str, bytes], *, records: str = "", lines: str = "", head: str = ""
    ) -> None:
        self.nvram = nvram
        self.network: Network = free_network()
        self.events: list[Event] = []
        self.files = dict(files)
        self._text = CONFIG.format(
            server=self.network.nodes[0],
            local=self.network.core,
            access=self.network.access,
            records=records,
            lines=lines.format(server=self.network.nodes[0], access=self.network.access),
        )
        self.config: Config = parse_config(head + self._text)

    async def __aenter__(self) -> Self:
        self.cluster = Cluster(self.files)
        self._more = asyncio.Event()
        self.store = Store(self.nvram, self.config.trustpoints)
        port = self.cluster.start(self.network.nodes[0])
        self.service = PhoneProxyService(
            self.config, self.store, self._tell, nvram=self.nvram, port=0, cluster_port=port
        )
        await self.service.start()
        self._clients: list[Fetcher] = []
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.close()
        await self.service.close()
        self.cluster.close()
        if kind is not None:
            print(*self.events, sep="\n")

    @property
    def instance(self) -> Instance:
        return self.service.instances[0]

    @property
    def tftp(self) -> Address:
        return self.instance.tftp.address

    async def get(self, name: str, phone: int = 1) -> bytes:
        """A file by TFTP. NotFound, FetchFailed."""
        client = Fetcher(self.tftp[0], self.tftp[1], self.network.phone(phone), Pace(first=0.3, tries=3, session=10))
        self._clients.append(client)
        return await client.fetch(name)

    async def http(self, request: bytes, host: str = "") -> bytes:
        """What the HTTP service answers to these octets."""
        reader, writer = await asyncio.open_connection(
            *self.instance.http[0].address, local_addr=(host or self.network.phone(1), 0)
        )
        try:
            writer.write(request)
            async with asyncio.timeout(10):
                return await reader.read(-1)
        finally:
            writer.close()

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()

    async def told(self, name: str) -> Event:
        """The first event of that name, waited for."""
        while not self.named(name):
            self._more.clear()
            await self._more.wait()
        return self.named(name)[0]

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]
