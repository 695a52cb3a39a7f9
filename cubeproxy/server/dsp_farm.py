"""`cubeproxy dsp farm`: the DSP farm of a router, as a process of its own.

Every `associate profile N register NAME` of a `sccp ccm group` is a registration with its own connection and its own
media workers. Media comes to the address of the group's interface; the call manager is one of the group, by priority.
It ends like the proxy: the first SIGTERM takes it out of service and lets its sessions finish within a limit, a second
one ends them; then it unregisters.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import uvloop

from cubeproxy.config.model import Config
from cubeproxy.media.codecs.profiles import told
from cubeproxy.media.dsp.channels import Channels
from cubeproxy.media.dsp.channels import Output as ChannelOutput
from cubeproxy.media.dsp.tables import Module
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import CubeError, RemoteProtocolError
from cubeproxy.protocols.sccp import machine
from cubeproxy.protocols.sccp.farm import FarmClient
from cubeproxy.protocols.sccp.farm_words import State
from cubeproxy.protocols.sccp.media_messages import ConnectionStatisticsRequest
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.values import Address, Event, MediaEvent, Severity
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.farm_plan import Plan, plans, settings_of
from cubeproxy.server.media import MediaService
from cubeproxy.server.sccp import SccpConnection
from cubeproxy.server.sccp_tls import LIMITS
from cubeproxy.server.tls import TlsPolicy
from cubeproxy.transport.channel import TlsChannel

PORTS = (32768, 49151)  # of the farm's media: beside the range of the calls, for both may have the same address
LOOK = 1.0  # s between two looks at sessions that a lost call manager left behind
LEASE = 60.0  # s that media goes on should the farm's process die: its call manager ends the calls anyway
SILENCE = 10.0  # s without a packet after which such a session has ended


class Registration:
    """One farm: its machine, its connection, its channels, its media."""

    def __init__(
        self,
        plan: Plan,
        log: EventLog,
        *,
        workers: int = 1,
        ports: tuple[int, int] = PORTS,
        pace: float = 1.0,
        store: Store | None = None,
        reports: float = 0.0,
    ) -> None:
        """`store` has the trustpoints of a profile that registers over TLS; it is read again for each connection.
        `reports` as in `MediaService`: RTCP comes here unopened, for whoever has the keys must answer it.
        `pace` scales the machine's waits, for tests that cannot wait ten seconds."""
        self.plan = plan
        settings = settings_of(plan)
        settings.connect_interval *= pace
        settings.registration_timeout *= pace
        self.client = FarmClient(settings, plan.servers)
        self.channels = Channels(
            plan.address,
            plan.sessions,
            plan.codecs,
            secure=plan.profile.security,
            universal=plan.profile.universal,
        )
        self._log = log
        self._store = store if store is not None else Store(None, {})
        self._media = MediaService(
            self._media_event,
            ports,
            workers=workers,
            coders=workers,
            lease=LEASE,
            idle=SILENCE,
            on_report=log.write,
            reports=reports,
        )
        self._connection: SccpConnection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard: tuple[int, float] = (0, 0.0)  # packets, and since when no more
        self._watch: asyncio.TimerHandle | None = None
        self._dials = 0

    @property
    def workers(self) -> Mapping[int, int]:
        """Process ids of the media workers in service, by their number."""
        return self._media.workers

    async def start(self) -> None:
        """TrustError when the profile's trustpoint has no certificate."""
        self._loop = asyncio.get_running_loop()
        if self.plan.secure:
            self._channel(self.plan.servers[0])  # what is missing is told at the start
        await self._media.start()
        self._act(self.client.start(self._loop.time()))

    async def drain(self, within: float) -> None:
        """Take no new sessions, and wait for those in progress, at most `within` seconds."""
        self._act(self.client.withdraw())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.channels.conferences:  # noqa: ASYNC110 - what a peer closes sets no event
                    await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Unregister, and let go of everything."""
        if self.client.state is not State.DOWN:
            self._act(self.client.stop(self._loop.time()))
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        for task in (self._dialling, self._probing):
            if task is not None:
                task.cancel()
        await self._media.close()

    # the connection

    def opened(self, connection: SccpConnection) -> None:
        if connection.number == self._dials:
            self._connection = connection
            self._act(self.client.connected(self._loop.time()))

    def refused(self, connection: SccpConnection, event: Event, *, theirs: bool) -> None:
        self._log.write(event)

    def received(self, connection: SccpConnection, message: Message | Unknown | RemoteProtocolError) -> None:
        if connection is self._connection:
            self._act(self.client.receive(message, self._loop.time()))

    def ended(self, connection: SccpConnection, cause: str) -> None:
        if connection is self._connection:
            self._connection = None
            self._act(self.client.closed(cause, self._loop.time()))

    async def _dial(self, server: Address) -> None:
        self._dials += 1
        try:
            channel = self._channel(server) if self.plan.secure else None
            _, connection = await self._loop.create_connection(
                lambda: SccpConnection(self, self._dials, channel), *server, local_addr=(self.plan.address, 0)
            )
        except (OSError, CubeError) as error:
            self._dialling = None
            self._act(self.client.closed(getattr(error, "strerror", "") or str(error), self._loop.time()))
            return
        self._dialling, self._connection = None, connection  # `opened` when TLS is through

    def _channel(self, server: Address) -> TlsChannel:
        """TLS for a connection to a call manager, with the certificates that are there today."""
        for event in self._store.reload():
            self._log.write(event)
        policy = TlsPolicy(Config(), self._store)
        client = policy.call_manager(self.plan.profile.trustpoint, self.plan.vouchers.get(server, ""))
        return client.connect(server, LIMITS, self._loop.time)

    async def _probe(self, server: Address) -> None:
        try:
            async with asyncio.timeout(5.0):
                transport, _ = await self._loop.create_connection(
                    asyncio.Protocol, *server, local_addr=(self.plan.address, 0)
                )
        except (OSError, TimeoutError):
            reachable = False
        else:
            reachable = True
            transport.close()
        self._act(self.client.probed(reachable, self._loop.time()))

    def _hang_up(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # carrying out

    def _act(self, outputs: Sequence[machine.Output]) -> None:
        for output in outputs:
            match output:
                case machine.Transmit(message, version):
                    if self._connection is not None:
                        self._connection.send(message, version)
                case machine.Connect(server):
                    self._dialling = self._loop.create_task(self._dial(server))
                case machine.Disconnect():
                    self._hang_up()
                case machine.Probe(server):
                    self._probing = self._loop.create_task(self._probe(server))
                case machine.Deliver(message):
                    self._deliver(message)
                case machine.FarmDown():
                    self._carry_out(self.channels.clear())
                case Event():
                    self._log.write(output)
        self._arm()

    def _deliver(self, message: Message) -> None:
        if isinstance(message, ConnectionStatisticsRequest):
            counters = {
                party.number: self._media.counters(conference.session)[leg]
                for conference in self.channels.conferences.values()
                for leg, party in enumerate(conference.parties)
            }
            self._carry_out(self.channels.statistics(message, counters))
        else:
            self._carry_out(self.channels.receive(message))

    def _media_event(self, event: MediaEvent) -> None:
        self._carry_out(self.channels.media(event))

    def _carry_out(self, outputs: Sequence[ChannelOutput]) -> None:
        for output in outputs:
            if not isinstance(output, Message):
                self._media.handle(output)
            elif self._connection is not None:
                self._connection.send(output, self.client.version)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.client.deadline is not None:
            self._timer = self._loop.call_at(self.client.deadline, self._ring)
        if self.client.state is State.STRANDED and self._watch is None:
            self._heard = (-1, self._loop.time())
            self._look()

    def _ring(self) -> None:
        self._timer = None
        self._act(self.client.timeout(self._loop.time()))

    def _look(self) -> None:
        """Sessions that a lost call manager left go on until they fall silent."""
        self._watch = None
        if self.client.state is not State.STRANDED:
            return
        now = self._loop.time()
        sessions = [one.session for one in self.channels.conferences.values() if one.session]
        packets = sum(leg.received for session in sessions for leg in self._media.counters(session))
        if packets != self._heard[0]:
            self._heard = packets, now
        if not sessions or now - self._heard[1] >= SILENCE:
            self._act(self.client.idle(now))
            return
        self._watch = self._loop.call_later(LOOK, self._look)


def run_farm(
    config: Config,
    module: Module | None = None,
    *,
    workers: int = 1,
    ports: tuple[int, int] = PORTS,
    drain: float = 60.0,
    json_lines: bool = False,
    level: Severity = Severity.INFO,
    nvram: Path | None = None,
    reports: float = 0.0,
    out: TextIO = sys.stderr,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, and TrustError for a certificate that is missing."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold every key
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        log = EventLog(out, json_lines=json_lines, level=level, clock=runner.get_loop().time)
        store = Store(nvram, config.trustpoints)
        farms = partial(Registration, log=log, workers=workers, ports=ports, store=store, reports=reports)
        runner.run(_serve(plans(config, module), farms, drain, log))


async def _serve(wanted: list[Plan], make: Callable[[Plan], Registration], drain: float, log: EventLog) -> None:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    farms = [make(plan) for plan in wanted]
    try:
        for farm in farms:
            await farm.start()
            text = f"DSP farm {farm.plan.name}: {farm.plan.sessions} sessions on {farm.plan.address}"
            log.write(Event("dsp.farm", Severity.NOTICE, text, device=farm.plan.name))
            for event in told(farm.plan.missing, farm.plan.name):
                log.write(event)
        await signals.get()
        waiting: list[asyncio.Future[Any]] = [
            asyncio.gather(*(farm.drain(drain) for farm in farms)),
            asyncio.ensure_future(signals.get()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
    finally:
        for farm in farms:
            await farm.stop()
        log.close()
