"""A box without sockets: the pool, a media service that always says yes, and farms that speak through octets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cubeproxy.config.model import (
    Config,
    DspfarmProfile,
    Interface,
    Sccp,
    SccpCcm,
    SccpCcmGroup,
    TelephonyService,
    VoiceCard,
)
from cubeproxy.media.dsp.channels import Channels
from cubeproxy.media.transcoders.pool import Effect, TranscoderPool, members_of
from cubeproxy.media.transcoders.words import NgSend, SccpClose, SccpSend
from cubeproxy.protocols.sccp import machine
from cubeproxy.protocols.sccp.codecs import capabilities
from cubeproxy.protocols.sccp.farm import FarmClient
from cubeproxy.protocols.sccp.farm_words import FarmSettings
from cubeproxy.protocols.sccp.frame import Framer
from cubeproxy.protocols.sccp.registry import Message, encode
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import (
    Codec,
    DeviceIdentity,
    Event,
    MediaEvent,
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    StreamSpec,
    UpdateMedia,
)

ACCESS, CORE, FARM = "192.0.2.1", "198.51.100.1", "198.51.100.9"
LOCAL = (ACCESS, CORE)
PCMU = Codec("pcmu", 8000)
THEIRS, OURS, NEXT = (MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, bytes((number,)) * 30) for number in (1, 2, 3))
SECURE = StreamSpec(("192.0.2.77", 7000), PCMU, 0, OURS, THEIRS, dtmf_payload_type=101)
CLEAR = StreamSpec(("198.51.100.11", 8000), PCMU, 0)


FARM_IDENTITY = DeviceIdentity("", "CN=dsp-farm", "CN=DSP-FARM-CA", "peer", "FARMS", "00" * 32)


def config(application: str = "SCCP", **changes: object) -> Config:
    """A router with one profile of two sessions, `no tls`, and the server that it registers with."""
    values: dict[str, object] = {
        "security": True, "codecs": ["g711ulaw"], "maximum_sessions": 2, "tls": False, "shutdown": False,
    }  # fmt: skip
    profile = DspfarmProfile(1, application=application, **{**values, **changes})  # type: ignore[arg-type]
    group = SccpCcmGroup(1, associate_ccm=[(1, 1)], associate_profile=[(1, "XCODE")])
    return Config(
        version="15.3",
        interfaces={"gi0": Interface("gi0", ACCESS), "gi1": Interface("gi1", CORE)},
        voice_cards={"0": VoiceCard("0", dsp_services_dspfarm=True)},
        dspfarm_profiles={1: profile},
        sccp=Sccp(True, "gi1", [SccpCcm(CORE, 1)], {1: group}),
        telephony=TelephonyService(2, 10, {1: "XCODE", 2: "OTHER"}, (CORE, 2000)),
    )


class FakeFarm:
    """A farm with its channels, on a connection of its own."""

    def __init__(self, name: str = "XCODE", sessions: int = 2) -> None:
        self.channels = Channels(FARM, sessions, ["g711ulaw"], secure=True)
        self.client = FarmClient(FarmSettings(name, FARM, sessions, capabilities(["g711ulaw"])), [(CORE, 2000)])
        self.heard: list[Message] = []
        self.framer = Framer()
        self._session = 0
        self.mute = False

    def receive(self, octets: bytes, now: float) -> list[bytes]:
        out: list[bytes] = []
        for message, _version in self.framer.receive(octets):
            assert isinstance(message, Message)
            self.heard.append(message)
            out += self.act(self.client.receive(message, now))
        return out

    def act(self, outputs: Iterable[machine.Output]) -> list[bytes]:
        out: list[bytes] = []
        for output in outputs:
            if isinstance(output, machine.Transmit):
                out.append(encode(output.message, output.version))
            elif isinstance(output, machine.Deliver) and not self.mute:
                out += self.media(self.channels.receive(output.message))
        return out

    def media(self, outputs: Sequence[object]) -> list[bytes]:
        out: list[bytes] = []
        for output in outputs:
            if isinstance(output, ReserveMedia):
                self._session += 1
                port = 20000 + 10 * self._session
                reserved = MediaReserved(output.ticket, self._session, ((FARM, port), (FARM, port + 2)))
                out += self.media(self.channels.media(reserved))
            elif isinstance(output, Message):
                out.append(encode(output, self.client.version))
        return out


class Border:
    """The border's side of a pool, and a media service that says yes.

    `events` is what the border heard; `hops` are the media sessions with their last update.
    """

    def __init__(self, pool: TranscoderPool, now: float = 0.0) -> None:
        self.pool = pool
        self.events: list[MediaEvent] = []
        self.told: list[Event] = []
        self.hops: dict[int, tuple[StreamSpec | None, StreamSpec | None]] = {}
        self.local: dict[int, tuple[str, str]] = {}
        self.needs: list[Need] = []
        self.now = now
        self._tickets = 0

    def reserve(self) -> int:
        """The session, or 0 when it is refused."""
        self._tickets += 1
        self.run(self.pool.receive(ReserveMedia(self._tickets, "call", LOCAL, Need.TRANSCODER), self.now))
        answer = self.events[-1]
        return answer.session if isinstance(answer, MediaReserved) else 0

    def update(self, session: int, *legs: StreamSpec | None) -> None:
        first, second = legs or (SECURE, CLEAR)
        self.run(self.pool.receive(UpdateMedia(session, (first, second)), self.now))

    def release(self, session: int) -> None:
        self.run(self.pool.receive(ReleaseMedia(session), self.now))

    @property
    def refusal(self) -> tuple[str, str]:
        answer = self.events[-1]
        assert isinstance(answer, MediaRefused)
        return answer.cause, answer.text

    def run(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.carry_out(effect)

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case ReserveMedia(ticket, _call, local, need):
                self.needs.append(need)
                session = max(self.local, default=100) + 1
                self.hops[session], self.local[session] = (None, None), local
                ports = ((local[0], 16000 + 2 * session), (local[1], 18000 + 2 * session))
                self.run(self.pool.inner(MediaReserved(ticket, session, ports), self.now))
            case UpdateMedia(session, legs):
                self.hops[session] = legs
            case ReleaseMedia(session):
                del self.hops[session]
            case Event():
                self.told.append(effect)
            case SccpSend() | SccpClose() | NgSend():
                raise AssertionError("there is no such transcoder here")
            case _:
                self.events.append(effect)


class Box(Border):
    """A pool with farms."""

    def __init__(self, given: Config | None = None) -> None:
        self.config = given or config()
        super().__init__(TranscoderPool(members_of(self.config)))
        self.farms: dict[int, FakeFarm] = {}
        self.framers: dict[int, Framer] = {}
        self.wire: list[tuple[bool, bytes]] = []  # whether the call manager spoke, and what
        self.refuse = False

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case ReserveMedia(ticket) if self.refuse:
                self.run(self.pool.inner(MediaRefused(ticket, "no-ports", "none left"), self.now))
            case SccpSend(connection, message, version):
                self._to_farm(connection, encode(message, version))
            case SccpClose(connection):
                self.lose(connection, "closed by us")
            case _:
                super().carry_out(effect)

    def lose_hop(self, session: int, failure: str = "media-lost") -> None:
        """The media service knows its name until it is released."""
        self.run(self.pool.inner(MediaLost(session, "the worker died", failure), self.now))

    # farms

    def farm(
        self, name: str = "XCODE", sessions: int = 2, host: str = CORE, connection: int = 0, *, tls: bool = False
    ) -> FakeFarm:
        """A farm that connects and tries to register; over `tls` it has shown a certificate."""
        connection = connection or len(self.framers) + 1
        farm = self.farms[connection] = FakeFarm(name, sessions)
        self.framers[connection] = Framer()
        assert self.pool.farms is not None
        shown = (FARM_IDENTITY, ("TLSv1.3", "TLS_AES_256_GCM_SHA384")) if tls else (None, None)
        self.pool.farms.connected(connection, (host, 40000), self.now, *shown)
        farm.client.start(self.now)
        self._from_farm(connection, farm.act(farm.client.connected(self.now)))
        return farm

    def lose(self, connection: int, cause: str = "reset by peer") -> None:
        assert self.pool.farms is not None
        if self.farms.pop(connection, None) is not None:
            self.run(self.pool.heard(self.pool.farms.closed(connection, cause, self.now), self.now))

    def ring(self, at: float) -> None:
        self.now = at
        self.run(self.pool.timeout(at))

    def _to_farm(self, connection: int, octets: bytes) -> None:
        self.wire.append((True, octets))
        farm = self.farms.get(connection)
        if farm is not None:
            self._from_farm(connection, farm.receive(octets, self.now))

    def _from_farm(self, connection: int, parts: Sequence[bytes]) -> None:
        assert self.pool.farms is not None
        for part in parts:
            self.wire.append((False, part))
            for message, _version in self.framers[connection].receive(part):
                self.run(self.pool.heard(self.pool.farms.received(connection, message, self.now), self.now))


def hold(spec: StreamSpec) -> StreamSpec:
    return replace(spec, sends=True, receives=False)
