"""The running proxy: sockets, clocks and processes around the border.

Nothing is decided here. Messages and media answers go into the border as events, effects come back
and are carried out in order; one timer waits for the border's deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cubeproxy.border.border import Border
from cubeproxy.border.effects import (
    BorderEvent,
    Drain,
    Drained,
    Effect,
    FlowClosed,
    Malformed,
    MessageArrived,
    PathFailed,
    Transmit,
)
from cubeproxy.border.plan import Listener
from cubeproxy.config.model import Config
from cubeproxy.media.codecs.profiles import told, unusable_in
from cubeproxy.pki.store import Store
from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import ConfigError, RemoteProtocolError
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.values import (
    Event,
    Flow,
    MediaEvent,
    Path,
    ReleaseMedia,
    ReserveMedia,
    Severity,
    Side,
    Transport,
    UpdateMedia,
)
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.media_engine import choose
from cubeproxy.server.media_watch import MediaWatch
from cubeproxy.server.memory import trimmer
from cubeproxy.server.phoneproxy.service import PhoneProxyService
from cubeproxy.server.rationing import RETRY_AFTER, Rationing, throttled
from cubeproxy.server.settings import Settings
from cubeproxy.server.tls import TlsPolicy
from cubeproxy.server.transcoding import TranscodingService
from cubeproxy.server.trust import TrustSweep
from cubeproxy.transport.sip import SipTransport
from cubeproxy.transport.tls import open_keylog
from cubeproxy.views.sources import Sources

GRACE = 2.0  # s for the last answers, after calls were ended by us
TRIM = 10  # looks between two times that free memory is given back
LOOK = 1.0  # s between two looks at what nobody tells us: media counters, repetitions in the log
GRAIN = 0.02  # s: alarms ring together and up to so much late; one by one they cost more than the calls at 300/s


class Proxy:
    """Make one inside a running loop, `start` it, wait for `finished`."""

    def __init__(self, config: Config, store: Store, settings: Settings, log: EventLog) -> None:
        """Raises ConfigError."""
        self.config = config
        self.store = store
        self.settings = settings
        self.log = log
        self.loop = asyncio.get_running_loop()
        missing = unusable_in(config)
        for event in told(missing):
            log.write(event)
        self.border = Border(config, missing=missing)
        keylog = open_keylog(settings.keylog) if settings.keylog else None
        self.tls = TlsPolicy(config, store, keylog=keylog)
        self.transport = SipTransport(self, tls_client=self.tls.client)
        self.media = TranscodingService(
            config,
            self.media_event,
            workers=settings.workers,
            lease=settings.lease,
            reports=settings.reports,
            on_report=log.write,
            farm_tls=self.tls.farms,
            engines=settings.rtpengines,
            engine=choose(settings.media, wait=settings.media_wait, realtime=settings.realtime),
        )
        self.phones = PhoneProxyService(
            config,
            store,
            log.write,
            nvram=settings.nvram,
            port=settings.tftp_port,
            cluster_port=settings.cluster_tftp_port,
        )
        self.trust = TrustSweep(
            store,
            self.transport,
            self.tls,
            log.write,
            self.phones.trust_changed,
            period=settings.sweep,
            farms=self.media.rejudge,
        )
        self._rationing = Rationing(settings.device_rate)
        self._watch = MediaWatch(self.media.health, log.write)
        self._trim = trimmer()
        self._looks = 0
        self._look_timer: asyncio.TimerHandle | None = None
        self.finished = asyncio.Event()
        self.started_at = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._armed: float | None = None
        self._draining = False
        self._closing = False

    async def start(self) -> None:
        """Open every listener. OSError, ConfigError or TrustError when one cannot be opened."""
        await self.media.start()
        self._tell_room()
        for listener in self.border.plan.listeners:
            await self._listen(listener)
            self.log.write(
                Event(
                    "proxy.listening",
                    Severity.NOTICE,
                    f"{listener.side.value} side: {listener.transport.value} on {format_address(listener.address)}",
                )
            )
        await self.phones.start()
        self.trust.start()
        self._run(self.border.start(self.loop.time()))
        self._look()

    def _tell_room(self) -> None:
        """How many calls descriptors and ports allow: beyond it a call is refused with 503."""
        plan = self.border.plan
        if plan.access and plan.core:
            room = self.media.room({peer.media for peer in plan.access}, {peer.media for peer in plan.core})
            fields = {"calls": room.calls, "by_workers": room.by_workers, "by_ports": room.by_ports}
            self.log.write(Event("media.room", Severity.NOTICE, f"media: {room.text}", fields=fields))

    async def _listen(self, listener: Listener) -> None:
        """Open one listener. Over TLS a certificate says who may speak, else the core side goes by address.

        The legacy profile is for phones: the core side keeps the default one.
        """
        secure = listener.transport is Transport.TLS
        old_phones = self.settings.legacy_tls and listener.side is Side.ACCESS
        try:
            await self.transport.listen(
                listener.transport,
                listener.address,
                self.tls.server("legacy" if old_phones else "default") if secure else None,
                trusted=self._trusted(listener) if not secure else None,
            )
        except OSError as error:
            where = f"{listener.transport.value} {format_address(listener.address)}"
            raise ConfigError(
                f"cannot listen on the {listener.side.value} side, {where}: {error.strerror}",
                fix="end what uses this address, or put another in its place with --map",
            ) from None

    def _trusted(self, listener: Listener) -> Callable[[str], bool] | None:
        """Strangers on the core side are discarded unread, unless the configuration wants them answered."""
        silent = self.config.voice.silent_discard_untrusted
        return self.border.judge.trusts_host if silent and listener.side is Side.CORE else None

    def drain(self) -> None:
        """The first call lets calls finish within the limit, a second one ends them at once.

        A call may then still wait for a peer that does not answer its CANCEL or BYE (timer F: 32 s); we do not.
        """
        limit = 0.0 if self._draining else self.settings.drain
        self.feed(Drain(limit))
        self._draining = True
        self.loop.call_later(limit + GRACE, self.finished.set)

    async def close(self) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._look_timer is not None:
            self._look_timer.cancel()
        await self.trust.close()
        await self.phones.close()
        await self.transport.close()
        await self.media.close()
        self.log.close()

    def sources(self) -> Sources:
        """What the views look at."""
        return Sources(
            self.config,
            self.border,
            self.loop.time,
            self.media.counters,
            self.started_at,
            self.media.describe,
            store=self.store,
            phone_files=self.phones.state,
            transcoders=self.media.pool,
            inner_counters=self.media.inner_counters,
        )

    def feed(self, event: BorderEvent) -> None:
        self._run(self.border.receive(event, self.loop.time()))

    def opened(self, flow: Flow) -> None:
        pass

    def received(self, flow: Flow, message: Request | Response) -> None:
        if isinstance(message, Request) and not self._allowed(flow, message):
            return
        self.feed(MessageArrived(flow, message))

    def _allowed(self, flow: Flow, request: Request) -> bool:
        """Whether a phone keeps to its rate. One that does not gets 503 and costs nothing else (RFC 3261 21.5.4)."""
        if self.border.plan.side_of(flow.local) is not Side.ACCESS:
            return True
        device = flow.identity.name if flow.identity else ""
        if self._rationing.allows(device or flow.remote[0], request, self.loop.time()):
            return True
        self.log.write(throttled(flow, device, self.settings.device_rate))
        try:
            answer = response_to(request, 503)
        except RemoteProtocolError:
            return False
        answer.headers.add("Retry-After", RETRY_AFTER)
        self.transport.send(flow, answer)
        return False

    def malformed(self, flow: Flow, error: RemoteProtocolError, message: Message | None) -> None:
        self.feed(Malformed(flow, error, message))

    def closed(self, flow: Flow, cause: str) -> None:
        if not self._closing:  # when we close everything ourselves, nobody lost a connection
            self.feed(FlowClosed(flow, cause))

    def failed(self, path: Path, cause: str) -> None:
        self.feed(PathFailed(path, cause))

    def refused(self, event: Event) -> None:
        self.log.write(event)

    def media_event(self, event: MediaEvent) -> None:
        self.feed(event)

    def _run(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Transmit():
                    self.transport.send(effect.path, effect.message)
                case ReserveMedia() | UpdateMedia():
                    self.media.handle(effect)
                case ReleaseMedia():
                    self._watch.released(effect.session)
                    self.media.handle(effect)
                case Event():
                    self.log.write(effect)
                case Drained():
                    self.finished.set()
        self._arm()

    def _look(self) -> None:
        self._watch.look(self.border.calls)
        self.log.tick()
        self._looks += 1
        if self._looks % TRIM == 0:
            self._trim()
        self._look_timer = self.loop.call_later(LOOK, self._look)

    def _arm(self) -> None:
        """Wait for the border's deadline; a timer that is early enough already stays."""
        deadline = self.border.deadline
        if deadline is None or (self._armed is not None and self._armed <= deadline):
            return
        when = max(deadline, self.loop.time() + GRAIN)
        if self._armed is not None and self._armed <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = when
        self._timer = self.loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = self._armed = None
        self._run(self.border.timeout(self.loop.time()))
