"""Where messages go out and come in: one UDP socket, or one TLS connection with a client certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from cubeload.messages import split_stream

Receiver = Callable[["Link", bytes, tuple[str, int]], None]


class Link(Protocol):
    """`here` is what Via and Contact say, host:port."""

    transport_name: str
    host: str
    here: str

    def send(self, data: bytes, to: tuple[str, int] | None = None) -> None: ...

    def close(self) -> None: ...


class UdpLink(asyncio.DatagramProtocol):
    transport_name = "UDP"

    def __init__(self, receiver: Receiver, target: tuple[str, int] | None) -> None:
        self._receiver, self._target = receiver, target
        self._transport: asyncio.DatagramTransport | None = None
        self.host = self.here = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.host, port = transport.get_extra_info("sockname")[:2]
        self.here = f"{self.host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receiver(self, data, addr)

    def send(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        assert self._transport is not None
        self._transport.sendto(data, to or self._target)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class StreamLink(asyncio.Protocol):
    """TLS, framed by Content-Length. What was not sent when the connection ends is lost."""

    transport_name = "TLS"

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.host = self.here = self.tls = ""
        self._lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.host, port = transport.get_extra_info("sockname")[:2]
        self.here = f"{self.host}:{port}"
        tls = transport.get_extra_info("ssl_object")
        self.tls = tls.version() if tls else ""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        assert self._transport is not None
        for message in split_stream(self._buffer):
            self._receiver(self, message, self._transport.get_extra_info("peername"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_result(None)

    @property
    def closed(self) -> bool:
        return self._lost.done()

    async def finish(self) -> None:
        """Close as a phone does, with TLS's goodbye; at once when the far end does not answer to it."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.wait([self._lost], timeout=2)
            self._transport.abort()

    def send(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@dataclass(slots=True)
class ClientTls:
    """A phone's certificate and the authority that it trusts; without the latter the server is not judged."""

    certificate: Path
    key: Path
    authority: Path | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED if self.authority else ssl.CERT_NONE
        if self.authority:
            context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


async def open_udp(receiver: Receiver, host: str, port: int = 0, target: tuple[str, int] | None = None) -> UdpLink:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_datagram_endpoint(lambda: UdpLink(receiver, target), local_addr=(host, port))
    return link


async def open_tls(receiver: Receiver, host: str, target: tuple[str, int], tls: ssl.SSLContext) -> StreamLink:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: StreamLink(receiver), *target, ssl=tls, local_addr=(host, 0))
    return link
