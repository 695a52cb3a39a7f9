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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import uvloop

from cubeproxy.config.model import Config, DspfarmProfile, SccpCcm, SccpCcmGroup
from cubeproxy.media.dsp.capacity import profile_sessions
from cubeproxy.media.dsp.channels import Channels
from cubeproxy.media.dsp.channels import Output as ChannelOutput
from cubeproxy.media.dsp.tables import Module
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import ConfigError, CubeError, RemoteProtocolError
from cubeproxy.protocols.sccp import machine
from cubeproxy.protocols.sccp.codecs import capabilities
from cubeproxy.protocols.sccp.farm import FarmClient
from cubeproxy.protocols.sccp.farm_words import FarmSettings, Method, State
from cubeproxy.protocols.sccp.media_messages import ConnectionStatisticsRequest
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.values import Address, Event, MediaEvent, Severity
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.media import MediaService
from cubeproxy.server.sccp import SccpConnection
from cubeproxy.server.sccp_tls import LIMITS
from cubeproxy.server.sccp_tls import PORT as SECURE_PORT
from cubeproxy.server.tls import TlsPolicy
from cubeproxy.transport.channel import TlsChannel

PORTS = (32768, 49151)  # of the farm's media: beside the range of the calls, for both may have the same address
LOOK = 1.0  # s between two looks at sessions that a lost call manager left behind
LEASE = 60.0  # s that media goes on should the farm's process die: its call manager ends the calls anyway
SILENCE = 10.0  # s without a packet after which such a session has ended


@dataclass(slots=True, frozen=True)
class Plan:
    """One registration: under which name, of which profile, where media comes to, and the call managers in order."""

    name: str
    profile: DspfarmProfile
    sessions: int
    address: str
    servers: tuple[Address, ...]
    group: SccpCcmGroup
    vouchers: Mapping[Address, str] = field(default_factory=dict)  # trustpoint that vouches for each, "" is any

    @property
    def secure(self) -> bool:
        """Over TLS: the vendor's default in `security` mode."""
        return self.profile.security and self.profile.tls


def plans(config: Config, module: Module | None = None) -> list[Plan]:
    """What a configuration registers. ConfigError where it says how it cannot."""
    if not config.sccp.enabled:
        raise ConfigError("SCCP is off", fix="`sccp`")
    if not any(card.dsp_services_dspfarm for card in config.voice_cards.values()):
        raise ConfigError("no voice card gives its DSPs to a farm", fix="`dsp services dspfarm` under `voice-card N`")
    found = [
        _plan(config, group, number, name, module)
        for group in config.sccp.groups.values()
        for number, name in group.associate_profile
    ]
    kept = [plan for plan in found if plan is not None]
    if not kept:
        raise ConfigError(
            "no dspfarm profile registers with a call manager",
            fix="`dspfarm profile N transcode security` with `associate application SCCP` and `no shutdown`, "
            "and `associate profile N register NAME` in a `sccp ccm group`",
        )
    return kept


def _plan(config: Config, group: SccpCcmGroup, number: int, name: str, module: Module | None) -> Plan | None:
    profile = config.dspfarm_profiles.get(number)
    if profile is None or profile.service != "transcode" or profile.application != "SCCP":
        return None
    where = f"dspfarm profile {number}"
    if profile.shutdown:
        raise ConfigError(f"{where} is shut down, as profiles are by default", fix="`no shutdown`")
    secure = profile.security and profile.tls
    if secure and not profile.trustpoint:
        raise ConfigError(
            f"{where} registers over TLS and presents no certificate",
            fix="`trustpoint NAME`, or `no tls` where farm and call manager are one box",
        )
    sessions = profile_sessions(profile, module)
    if not sessions:
        raise ConfigError(f"{where} has no sessions", fix="`maximum sessions N`")
    interface = config.interfaces.get(group.bind_interface or config.sccp.local_interface)
    if interface is None or not interface.address:
        raise ConfigError(f"sccp ccm group {group.number} has no address", fix="`sccp local INTERFACE`")
    known = {ccm.identifier: (ccm.address, _port(ccm, secure)) for ccm in config.sccp.ccms}
    vouchers = {known[ccm.identifier]: ccm.trustpoint for ccm in config.sccp.ccms}
    ranked = sorted(group.associate_ccm, key=lambda pair: pair[1])
    servers = tuple(known[identifier] for identifier, _ in ranked if identifier in known)
    if not servers:
        raise ConfigError(f"sccp ccm group {group.number} has no call manager", fix="`associate ccm N priority 1`")
    return Plan(name, profile, sessions, interface.address, servers, group, vouchers)


def _port(ccm: SccpCcm, secure: bool) -> int:
    """The vendor's configurations name the clear port, or none, for both."""
    return SECURE_PORT if secure and ccm.port == SccpCcm.port else ccm.port


def settings_of(plan: Plan) -> FarmSettings:
    group = plan.group
    return FarmSettings(
        plan.name,
        plan.address,
        plan.sessions,
        capabilities(plan.profile.codecs),
        keepalive_retries=group.keepalive_retries,
        switchover=Method(group.switchover or "graceful"),
        switchback=Method(group.switchback) if group.switchback in ("graceful", "immediate") else Method.GUARD,
    )


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
    ) -> None:
        """`store` has the trustpoints of a profile that registers over TLS; it is read again for each connection.
        `pace` scales the machine's waits, for tests that cannot wait ten seconds."""
        self.plan = plan
        settings = settings_of(plan)
        settings.connect_interval *= pace
        settings.registration_timeout *= pace
        self.client = FarmClient(settings, plan.servers)
        self.channels = Channels(
            plan.address,
            plan.sessions,
            plan.profile.codecs,
            secure=plan.profile.security,
            universal=plan.profile.universal,
        )
        self._log = log
        self._store = store if store is not None else Store(None, {})
        self._media = MediaService(
            self._media_event, ports, workers=workers, lease=LEASE, idle=SILENCE, on_report=log.write
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
    out: TextIO = sys.stderr,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, and TrustError for a certificate that is missing."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold every key
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        log = EventLog(out, json_lines=json_lines, level=level, clock=runner.get_loop().time)
        store = Store(nvram, config.trustpoints)
        runner.run(_serve(plans(config, module), workers, ports, drain, log, store))


async def _serve(
    wanted: list[Plan], workers: int, ports: tuple[int, int], drain: float, log: EventLog, store: Store
) -> None:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    farms = [Registration(plan, log, workers=workers, ports=ports, store=store) for plan in wanted]
    try:
        for farm in farms:
            await farm.start()
            text = f"DSP farm {farm.plan.name}: {farm.plan.sessions} sessions on {farm.plan.address}"
            log.write(Event("dsp.farm", Severity.NOTICE, text, device=farm.plan.name))
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
