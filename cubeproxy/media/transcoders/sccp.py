"""SCCP farms: registrations with this box's SCCP server, and the sessions that they carry. Sans-IO.

Media goes from the SIP leg through a hop to the farm, from the farm through a second hop to the other SIP leg. Hops
pass packets on unopened: keys are the farm's alone. A session goes to the registered farm with most free streams;
`sdspfarm transcode sessions` limits them all together, each farm's `maximum sessions` its own.

A session whose farm is lost, or gives it up, goes to another one, under new numbers. What we send on its SRTP legs
needs new keys then: the next farm does not know where the last one was in the key stream (RFC 3711 9.1). So it
asks the new farm for nothing before an update brings keys that no farm has had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cubeproxy.config.model import Config
from cubeproxy.media.transcoders.admission import judge, profiles_by_name
from cubeproxy.media.transcoders.words import (
    Capability,
    Capacity,
    Legs,
    MemberLost,
    MemberMoved,
    Output,
    Refusal,
    SccpClose,
    SccpSend,
    hops_around,
    sending_keys,
)
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sccp import machine
from cubeproxy.protocols.sccp.codecs import number_of
from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.messages import RegisterRequest
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.sccp.server import FarmServer
from cubeproxy.protocols.sccp.session import Stream, TranscoderSession
from cubeproxy.protocols.values import PASS_THROUGH, Address, DeviceIdentity, Event, Severity, StreamSpec

STREAMS = 2  # of a session
UNSPECIFIED = ("", "0.0.0.0", "::")
MOVES = 8  # of one session: farms that fail in turn must not keep a call of theirs for ever


@dataclass(slots=True)
class Session:
    """One call on a farm. `legs` is the last update, None while a leg is missing."""

    number: int
    connection: int
    machine: TranscoderSession
    inside: Sequence[Address] = ()
    legs: Legs = (None, None)
    hosts: tuple[Address, Address] | None = None  # where the farm receives; None until both channels are open
    tried: set[int] = field(default_factory=set)  # connections of farms that refused it
    had: set[bytes] = field(default_factory=set, repr=False)  # sending keys that its farm was told
    spent: set[bytes] = field(default_factory=set, repr=False)  # and those that farms before it were told
    moves: int = 0

    @property
    def renewed(self) -> bool:
        """No leg is to be protected with a key that another farm had."""
        return not self.spent & sending_keys(self.legs)


@dataclass(slots=True)
class Farm:
    """A connection of a farm, registered or not yet."""

    connection: int
    peer: Address
    server: FarmServer
    since: float
    identity: DeviceIdentity | None = None  # by its certificate; None in the clear
    tls: tuple[str, str] | None = None  # version and cipher suite, as OpenSSL spells them
    leaving: bool = False  # it was told to register again
    sessions: dict[int, Session] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        return max(0, self.server.streams - self.server.out_of_service) // STREAMS

    @property
    def free(self) -> int:
        return self.limit - len(self.sessions)


class SccpFarms:
    """The member of the pool. Connections are the owner's numbers."""

    name = "SCCP"
    hops = 2
    capabilities = frozenset(
        {
            Capability.GCM_128,
            Capability.SECURE_BOTH,
            Capability.TWO_SUITES,
            Capability.DTMF,
            Capability.TONES,
            Capability.CODECS,
            Capability.PACKETISATION,
            Capability.REPORTS,
            Capability.DRAIN,
            Capability.REHOMING,
            Capability.JOINS,
        }
    )

    def __init__(self, config: Config) -> None:
        self._config = config
        service = config.telephony
        self.limit = service.sdspfarm_transcode_sessions if service else 0
        self.inside = service.source_address[0] if service and service.source_address else ""
        self.farms: dict[int, Farm] = {}
        self.total = 0
        self.failed = 0
        self.moved = 0
        self._sessions: dict[int, Session] = {}
        self._parties: dict[int, Session] = {}
        self._next_party = 1

    @property
    def sessions(self) -> Mapping[int, Session]:
        """Sessions in progress, by the pool's number: for shows."""
        return self._sessions

    def refusal(self) -> Refusal | None:
        ready = list(self._ready())
        if not ready:
            insecure = any(farm.server.registered for farm in self.farms.values())
            text = "no registered DSP farm has `security`" if insecure else "no DSP farm is registered"
            return Refusal("no-transcoder", text)
        if not self.limit:
            return Refusal("no-transcoder", "`sdspfarm transcode sessions` is 0")
        if len(self._sessions) >= self.limit:
            return Refusal("pool-full", f"all {self.limit} `sdspfarm transcode sessions` are in use")
        if all(farm.free <= 0 for farm in ready):
            return Refusal("pool-full", "every DSP farm is full")
        return None

    def capacity(self) -> Capacity:
        offered = sum(farm.limit for farm in self._ready())
        return Capacity(min(self.limit, offered), len(self._sessions))

    def statistics(self) -> dict[str, int]:
        return {"sessions": self.total, "failed": self.failed, "moved": self.moved}

    def reserve(self, session: int, now: float) -> None:
        farm = max(self._ready(), key=lambda each: each.free)
        self._seat(Session(session, farm.connection, self._machine(session, farm)), farm)
        self.total += 1

    def update(self, session: int, legs: Legs, inside: Sequence[Address], now: float) -> list[Output]:
        placed = self._sessions.get(session)
        if placed is None:
            return []
        placed.legs, placed.inside = legs, inside
        first, second = legs
        if first is None or second is None or not placed.renewed:
            return self._hops(placed)
        try:
            streams = (_stream(first, inside[0]), _stream(second, inside[1]))
        except LocalProtocolError as error:
            return self._end(placed, str(error), now)
        placed.had |= sending_keys(legs)
        return [*self._hops(placed), *self._said(placed.connection, placed.machine.update(streams, now), placed, now)]

    def release(self, session: int, now: float) -> list[Output]:
        placed = self._sessions.get(session)
        return self._forget(placed, now) if placed is not None else []

    def connected(
        self,
        connection: int,
        peer: Address,
        now: float,
        identity: DeviceIdentity | None = None,
        tls: tuple[str, str] | None = None,
    ) -> None:
        """A farm has connected; `identity` is whom TLS has shown it to be, `tls` its version and cipher suite."""

        def admit(request: RegisterRequest) -> str:
            names = [farm.server.name for farm in self.farms.values() if farm.server.registered]
            return judge(self._config, request, peer[0], names, secure=identity is not None)

        server = FarmServer(admit, now)
        self.farms[connection] = Farm(connection, peer, server, now, identity, tls)

    def received(self, connection: int, message: Message | Unknown | RemoteProtocolError, now: float) -> list[Output]:
        farm = self.farms.get(connection)
        return self._said(connection, farm.server.receive(message, now), None, now) if farm is not None else []

    def closed(self, connection: int, cause: str, now: float) -> list[Output]:
        farm = self.farms.get(connection)
        if farm is None:
            return []
        out = self._said(connection, farm.server.closed(cause, now), None, now)
        del self.farms[connection]
        return out

    def reset(self, now: float) -> list[Output]:
        """Have every farm register again."""
        for farm in self.farms.values():
            farm.leaving = True
        return [
            one
            for farm in list(self.farms.values())
            for one in self._said(farm.connection, farm.server.reset(now), None, now)
        ]

    @property
    def deadline(self) -> float | None:
        farms = (farm.server.deadline for farm in self.farms.values())
        sessions = (placed.machine.deadline for placed in self._sessions.values())
        return min((at for at in (*farms, *sessions) if at is not None), default=None)

    def timeout(self, now: float) -> list[Output]:
        out: list[Output] = []
        for farm in list(self.farms.values()):
            out += self._said(farm.connection, farm.server.timeout(now), None, now)
        for placed in list(self._sessions.values()):
            out += self._said(placed.connection, placed.machine.timeout(now), placed, now)
        return out

    def _ready(self) -> Iterator[Farm]:
        """Farms that can take a secure call: a profile of this box has to say `security`, a stranger's is believed."""
        profiles = profiles_by_name(self._config)
        for farm in self.farms.values():
            profile = profiles.get(farm.server.name)
            if farm.server.registered and not farm.leaving and (profile is None or profile.security):
                yield farm

    def _said(
        self, connection: int, outputs: Sequence[machine.Output], placed: Session | None, now: float
    ) -> list[Output]:
        """What the machines want, in the words of the pool. `placed` is the session whose machine spoke."""
        out: list[Output] = []
        for output in outputs:
            match output:
                case machine.Transmit(message, version):
                    if placed is not None and connection in self.farms:
                        self.farms[connection].server.counters.tell(message)
                    out.append(SccpSend(connection, message, version))
                case machine.Disconnect():
                    out.append(SccpClose(connection))
                case machine.Deliver(message):
                    out += self._deliver(connection, message, now)
                case machine.FarmDown(cause):
                    out += self._farm_down(connection, cause, now)
                case machine.Ready(hosts) if placed is not None:
                    peer = self.farms[connection].peer[0]
                    first, second = (_host(host, peer) for host in hosts)
                    if any((":" in host) != (":" in self.inside) for host, _port in (first, second)):
                        out += self._end(placed, "the farm's address is of another family", now)
                        continue
                    placed.hosts = first, second
                    placed.tried.clear()
                    out += self._hops(placed)
                case machine.SessionFailed(_cause, text, broken) if placed is not None:
                    self.failed += 1
                    if not broken:
                        placed.tried.add(placed.connection)
                    out += self._given_up(placed, text, now)
                case Event():
                    out.append(output)
        return out

    def _deliver(self, connection: int, message: Message, now: float) -> list[Output]:
        placed = self._parties.get(getattr(message, "party", 0))
        if placed is None or placed.connection != connection:
            return []
        return self._said(connection, placed.machine.receive(message, now), placed, now)

    def _farm_down(self, connection: int, cause: str, now: float) -> list[Output]:
        """Its sessions go to others; nobody is left to be told to close them."""
        lost = list(self.farms[connection].sessions.values())
        out: list[Output] = []
        for placed in lost:
            self._forget(placed, now)
            out += self._move(placed, f"DSP farm lost: {cause}")
        return [*out, *self._told(self.farms[connection], lost, cause)]

    def _given_up(self, placed: Session, cause: str, now: float) -> list[Output]:
        """Its farm lets go of it."""
        farm = self.farms[placed.connection]
        return [*self._forget(placed, now), *self._move(placed, cause), *self._told(farm, [placed], cause)]

    def _move(self, placed: Session, cause: str) -> list[Output]:
        """Another farm for a session that stands in no index any more, or its end for want of one."""
        farm = self._another(placed)
        if farm is None:
            return [MemberLost(placed.number, cause, "pool-full")]
        began = placed.machine.streams is not None
        placed.machine, placed.connection, placed.hosts = self._machine(placed.number, farm), farm.connection, None
        placed.moves += 1
        self._seat(placed, farm)
        if not began:
            return []
        self.moved += 1
        placed.spent |= placed.had
        return [*self._hops(placed), MemberMoved(placed.number, cause)]

    def _another(self, placed: Session) -> Farm | None:
        """Where it may go next: most free streams first, the farm that it comes from last."""
        if placed.moves >= MOVES:
            return None
        room = [farm for farm in self._ready() if farm.free > 0 and farm.connection not in placed.tried]
        return max(room, key=lambda farm: (farm.connection != placed.connection, farm.free), default=None)

    def _told(self, farm: Farm, given_up: Sequence[Session], cause: str) -> list[Event]:
        """What became of sessions that a farm carries no more."""
        if not given_up:
            return []
        kept = sum(placed.number in self._sessions for placed in given_up)
        text = (
            f"DSP farm {farm.server.name} carries {len(given_up)} sessions no more, of which {kept} go on with others"
        )
        severity = Severity.WARNING if kept == len(given_up) else Severity.ERROR
        fields = {"sessions": len(given_up), "moved": kept}
        return [Event("sccp.sessions.moved", severity, text, device=farm.server.name, cause=cause, fields=fields)]

    def _machine(self, number: int, farm: Farm) -> TranscoderSession:
        """One that has asked for nothing yet, under numbers that no farm has seen."""
        parties = (self._next_party, self._next_party + 1)
        self._next_party += STREAMS
        return TranscoderSession(number, parties, parties, farm.server.version)

    def _seat(self, placed: Session, farm: Farm) -> None:
        """Into every index."""
        self._sessions[placed.number] = farm.sessions[placed.number] = placed
        self._parties.update(dict.fromkeys(placed.machine.parties, placed))

    def _end(self, placed: Session, cause: str, now: float) -> list[Output]:
        return [*self._forget(placed, now), MemberLost(placed.number, cause)]

    def _forget(self, placed: Session, now: float) -> list[Output]:
        """Out of every index; the messages that close its channels."""
        self._sessions.pop(placed.number, None)
        self.farms[placed.connection].sessions.pop(placed.number, None)
        for party in placed.machine.parties:
            self._parties.pop(party, None)
        return self._said(placed.connection, placed.machine.release(now), placed, now)

    def _hops(self, placed: Session) -> list[Output]:
        first, second = (StreamSpec(host, PASS_THROUGH, 0) for host in placed.hosts) if placed.hosts else (None, None)
        return hops_around(placed.number, placed.legs, (first, second))


def _stream(spec: StreamSpec, inside: Address) -> Stream:
    """A leg for the farm. LocalProtocolError when SCCP cannot say it."""
    codec = number_of(spec.codec)
    if codec is None:
        raise LocalProtocolError(f"SCCP has no number for the codec {spec.codec.name}")
    return Stream(
        codec,
        inside,
        spec.ptime,
        spec.dtmf_payload_type or 0,
        spec.payload_type if spec.payload_type >= 96 else 0,
        MediaEncryption.of(spec.receive_key),
        MediaEncryption.of(spec.send_key),
    )


def _host(told: Address, peer: str) -> Address:
    return (peer, told[1]) if told[0] in UNSPECIFIED else told
