"""A SIP handler that writes down what it is told, and lets a test wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.values import Address, Event, Flow, Path, Target, Transport
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.sip import SipTransport
from cubeproxy.transport.tls import TlsClient, TlsServer

PATIENCE = 10.0  # s, only until a broken test gives up


def options(number: int = 1, body: bytes = b"", *, head: str = "") -> bytes:
    return (
        f"OPTIONS sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:1@127.0.0.1>;tag=1\r\nTo: <sip:100@127.0.0.1>\r\n"
        f"Call-ID: call-{number}\r\nCSeq: {number} OPTIONS\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def target_to(transport: Transport, address: Address, local: Address) -> Target:
    return Target(transport, address[0], address[1], local)


@dataclass
class Recorder:
    """Records calls as (name, arguments). Answers requests with 200 when `answers`."""

    answers: bool = False
    log: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    transport: SipTransport | None = None
    on_received: Callable[[Flow, Request | Response], None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def opened(self, flow: Flow) -> None:
        self._note("opened", flow)

    def received(self, flow: Flow, message: Request | Response) -> None:
        self._note("received", flow, message)
        if self.on_received is not None:
            self.on_received(flow, message)
        if self.answers and isinstance(message, Request) and self.transport is not None:
            self.transport.send(flow, response_to(message, 200))

    def malformed(self, flow: Flow, error: RemoteProtocolError, message: Message | None) -> None:
        self._note("malformed", flow, error, message)

    def closed(self, flow: Flow, cause: str) -> None:
        self._note("closed", flow, cause)

    def failed(self, path: Path, cause: str) -> None:
        self._note("failed", path, cause)

    def refused(self, event: Event) -> None:
        self._note("refused", event)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for entry, arguments in self.log if entry == name]

    @property
    def call_ids(self) -> list[str]:
        return [message.call_id for _, message in self.of("received")]

    @property
    def events(self) -> list[Event]:
        return [event for (event,) in self.of("refused")]

    async def until(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """The first `count` calls of this name."""
        async with asyncio.timeout(PATIENCE):
            while len(self.of(name)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(name)[:count]

    async def event(self) -> Event:
        await self.until("refused")
        return self.events[0]

    def _note(self, name: str, *arguments: Any) -> None:
        self.log.append((name, arguments))
        self._changed.set()


@dataclass
class Side:
    """A transport with its recorder and, where there is one, its listener's address."""

    transport: SipTransport
    recorder: Recorder
    address: Address


@contextlib.asynccontextmanager
async def side(
    kind: Transport = Transport.TCP,
    tls: TlsServer | None = None,
    *,
    host: str = "127.0.40.1",
    limits: Limits | None = None,
    answers: bool = False,
    client: TlsClient | None = None,
    clock: Callable[[], float] | None = None,
    trusted: Callable[[str], bool] | None = None,
) -> AsyncIterator[Side]:
    """A transport that listens."""
    recorder = Recorder(answers=answers)
    transport = SipTransport(recorder, limits, tls_client=client, clock=clock)
    recorder.transport = transport
    try:
        address = await transport.listen(kind, (host, 0), tls, trusted=trusted)
        yield Side(transport, recorder, address)
    finally:
        await transport.close()


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def eventually(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; for what nobody reports."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.002)
