"""Media for calls, transcoders included: `MediaService` with the transcoder pool in front of it.

Where the configuration has `telephony-service` with `ip source-address`, DSP farms register there: SCCP in the clear
from this box only, and with `secure-signaling trustpoint` over TLS (port 2443) from anywhere. rtpengines are asked over
UDP. Everything else is as in `MediaService`, whose methods these are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cubeproxy.config.model import Config
from cubeproxy.media.counters import Health
from cubeproxy.media.room import Room
from cubeproxy.media.transcoders.admission import own_addresses
from cubeproxy.media.transcoders.lti import LtiTranscoder
from cubeproxy.media.transcoders.ng_engine import EngineSettings, exposed
from cubeproxy.media.transcoders.pool import Effect, TranscoderPool, members_of
from cubeproxy.media.transcoders.words import NgSend, SccpClose, SccpSend
from cubeproxy.protocols.errors import ConfigError, RemoteProtocolError
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.values import (
    Event,
    MediaCommand,
    MediaEvent,
    MediaLost,
    MediaMoved,
    MediaRefused,
    MediaReserved,
    Severity,
    StreamCounters,
)
from cubeproxy.server.media import MediaService
from cubeproxy.server.ng import NgSockets, local_address
from cubeproxy.server.sccp import SccpConnection, SccpListener
from cubeproxy.server.sccp_tls import PORT as SECURE_PORT
from cubeproxy.server.sccp_tls import SecureDoor
from cubeproxy.transport.tls import TlsServer

OnEvent = Callable[[MediaEvent], None]
FarmTls = Callable[[str], TlsServer]


@contextmanager
def _named(host: str, port: int) -> Iterator[None]:
    """ConfigError in the place of what the socket says."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot listen for DSP farms, TCP {host}:{port}: {error.strerror}",
            fix="end what uses this address, or change `ip source-address` under telephony-service",
        ) from None


class TranscodingService:
    """`settings` are those of `MediaService`."""

    def __init__(
        self,
        config: Config,
        on_event: OnEvent,
        *,
        on_report: Callable[[Event], None],
        farm_tls: FarmTls | None = None,
        engines: Sequence[EngineSettings] = (),
        **settings: Any,
    ) -> None:
        """`farm_tls` makes the TLS of the secure SCCP port from its trustpoint's name; `engines` are rtpengines."""
        self._engines = engines
        self._inside = local_address(engines)
        self.pool = TranscoderPool(members_of(config, engines, self._inside))
        self._ng = NgSockets(self)
        self._config = config
        self._on_event = on_event
        self._on_report = on_report
        self._media = MediaService(self._inner, config.rtp_ports, on_report=on_report, **settings)
        own = own_addresses(config)
        self._listener = SccpListener(self, own.__contains__, on_report)
        self._farm_tls = farm_tls
        self._door: SecureDoor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def start(self, within: float = 10.0) -> None:
        """TimeoutError when a worker does not answer; ConfigError or TrustError when an SCCP port cannot be opened."""
        self._loop = asyncio.get_running_loop()
        await self._media.start(within)
        if any(isinstance(member, LtiTranscoder) and member.codes for member in self.pool.members):
            self._media.start_coders()
        await self._ng.open(self._engines, self._inside)
        for engine in self._engines:
            text = f"rtpengine {engine.name}: weight {engine.weight}, {engine.sessions} sessions, from {self._inside}"
            self._on_report(Event("rtpengine.configured", Severity.NOTICE, text, peer=engine.name))
            if (warning := exposed(engine, self._inside)) is not None:
                self._on_report(warning)
        self._run([])
        service = self._config.telephony
        if self.pool.farms is None or service is None or service.source_address is None:
            return
        host, port = service.source_address
        with _named(host, port):
            await self._listener.listen((host, port))
        self._on_report(Event("proxy.listening", Severity.NOTICE, f"DSP farms: TCP on {host}:{port}"))
        if service.secure_trustpoint and self._farm_tls is not None:
            tls = self._farm_tls(service.secure_trustpoint)
            self._door = SecureDoor(self._listener, self._on_report)
            with _named(host, SECURE_PORT):
                self._door.listen((host, SECURE_PORT), tls)
            self._on_report(Event("proxy.listening", Severity.NOTICE, f"DSP farms: TLS on {host}:{SECURE_PORT}"))

    # what MediaService offers

    @property
    def workers(self) -> Mapping[int, int]:
        return self._media.workers

    @property
    def sessions(self) -> int:
        return self._media.sessions

    def describe(self) -> str:
        return self._media.describe()

    def totals(self) -> StreamCounters:
        return self._media.totals()

    def room(self, access: Collection[str], core: Collection[str]) -> Room:
        return self._media.room(access, core)

    def handle(self, command: MediaCommand) -> None:
        self._run(self.pool.receive(command, self._loop.time()))

    def counters(self, session: int) -> tuple[StreamCounters, StreamCounters]:
        first, second = self.pool.outer_hops(session)
        return self._media.counters(first)[0], self._media.counters(second)[1]

    def inner_counters(self, session: int) -> tuple[StreamCounters, StreamCounters]:
        """What went to and came from the transcoder, on either side of it."""
        first, second = self.pool.outer_hops(session)
        return self._media.counters(first)[1], self._media.counters(second)[0]

    def health(self, session: int) -> tuple[Health, Health]:
        first, second = self.pool.outer_hops(session)
        return self._media.health(first)[0], self._media.health(second)[1]

    async def drain(self, within: float | None = None) -> bool:
        self.pool.draining = True
        return await self._media.drain(within)

    async def close(self, *, orphan: bool = False) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._door is not None:
            self._door.close()
        self._ng.close()
        await self._listener.close()
        await self._media.close(orphan=orphan)

    def reset_farms(self) -> None:
        """Have every DSP farm register again."""
        if self.pool.farms is not None:
            self._heard(self.pool.farms.reset(self._loop.time()))

    def rejudge(self) -> int:
        """Close farms whose certificate is no longer trusted; how many."""
        return self._door.rejudge() if self._door is not None else 0

    # rtpengines

    def engine_said(self, engine: int, datagram: bytes) -> None:
        if self.pool.engines is not None:
            self._heard(self.pool.engines.received(engine, datagram, self._loop.time()))

    # farms

    def opened(self, connection: SccpConnection) -> None:
        if self.pool.farms is not None:
            number, peer, now = connection.number, connection.peer, self._loop.time()
            self.pool.farms.connected(number, peer, now, connection.identity, connection.tls)
            self._arm()

    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None:
        if self.pool.farms is not None:
            self._heard(self.pool.farms.received(connection.number, message, self._loop.time()))

    def refused(self, connection: SccpConnection, event: Event, *, theirs: bool) -> None:
        self._on_report(event)

    def ended(self, connection: SccpConnection, cause: str) -> None:
        if self.pool.farms is not None and not self._closed:
            self._heard(self.pool.farms.closed(connection.number, cause, self._loop.time()))

    def _heard(self, outputs: Sequence[Any]) -> None:
        self._run(self.pool.heard(outputs, self._loop.time()))

    # carrying out

    def _inner(self, event: MediaEvent) -> None:
        self._run(self.pool.inner(event, self._loop.time()))

    def _run(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SccpSend(connection, message, version):
                    self._listener.send(connection, message, version)
                case NgSend(engine, datagram):
                    self._ng.send(engine, datagram)
                case SccpClose(connection):
                    self._listener.close_one(connection, "given up")
                case Event():
                    self._on_report(effect)
                case MediaReserved() | MediaRefused() | MediaLost() | MediaMoved():
                    self._loop.call_soon(self._on_event, effect)
                case _:
                    self._media.handle(effect)
        self._arm()

    def _arm(self) -> None:
        deadline = self.pool.deadline
        if self._timer is not None:
            if deadline is not None and self._timer.when() <= deadline and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None and not self._closed:
            self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._run(self.pool.timeout(self._loop.time()))
