"""One rtpengine: where it is, whether it answers, what it carries. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address

from cubeproxy.media.transcoders.ng_call import Side, Step
from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.ng.client import NgClient
from cubeproxy.protocols.ng.liveness import Liveness, State
from cubeproxy.protocols.values import Address, Event, Severity, StreamSpec

PORT = 2223  # where rtpengine's own documentation has it listen for ng
FIX = "--rtpengine HOST:PORT[,weight=N][,sessions=N]"
MOST_ORPHANS = 1000
MOST_SESSIONS = 1000  # of an engine that has no `sessions`: what it has itself (`max-sessions`) counts too


@dataclass(slots=True, frozen=True)
class EngineSettings:
    """`weight` is its share of the calls beside others, `sessions` how many it gets at most."""

    control: Address
    weight: int = 1
    sessions: int = MOST_SESSIONS

    @property
    def name(self) -> str:
        return format_address(self.control)

    @classmethod
    def parse(cls, text: str) -> EngineSettings:
        """`HOST[:PORT][,weight=N][,sessions=N]`. ConfigError."""
        where, *words = text.split(",")
        host, _, port = where.rpartition(":") if ":" in where.rpartition("]")[2] else (where, "", str(PORT))
        values: dict[str, int] = {}
        for word in words:
            key, _, value = word.partition("=")
            if key not in ("weight", "sessions") or key in values:
                raise ConfigError(f"rtpengine {text!r}: {word!r} is unknown, or stands twice", fix=FIX)
            values[key] = _number(text, value, 100_000)
        try:
            literal = str(ip_address(host.strip("[]")))
        except ValueError:
            raise ConfigError(
                f"rtpengine {text!r}: {host!r} is no address (names are not looked up)", fix=FIX
            ) from None
        return cls((literal, _number(text, port, 65535)), **values)


def exposed(engine: EngineSettings, inside: str) -> Event | None:
    """What an operator has to know about an engine that is not on this box; `inside` is our address towards it."""
    host = engine.control[0]
    if host == inside or ip_address(host).is_loopback:
        return None
    text = (
        f"rtpengine {engine.name} is on another host: SRTP keys travel to it in the clear, and the clear side of calls "
        "as plain RTP"
    )
    return Event("rtpengine.exposed", Severity.WARNING, text, engine.name, fix="a network that nobody else reaches")


def _number(text: str, word: str, most: int) -> int:
    if not (word.isascii() and word.isdecimal() and 0 < int(word[:9]) <= most):
        raise ConfigError(f"rtpengine {text!r}: {word!r} is no number from 1 to {most}", fix=FIX)
    return int(word)


class Phase(Enum):
    """Where a session stands. A key that has protected packets on an engine is used up for every other one."""

    EMPTY = "reserved"  # nothing was said to the engine
    ASKED = "negotiating"  # a first negotiation is under way
    CARRIED = "active"
    MOVING = "waiting for keys"  # its engine is gone: it goes on once the border has sending keys that are new


@dataclass(slots=True, eq=False)
class NgSession:
    """A session on an engine. `call` is its name there, `said` what the engine knows of both legs."""

    number: int
    engine: Engine
    phase: Phase = Phase.EMPTY
    call: str = ""
    inside: Sequence[Address] = ()
    legs: tuple[StreamSpec | None, StreamSpec | None] = (None, None)
    said: tuple[Side, Side] | None = None
    wanted: tuple[Side, Side] | None = None  # what is being negotiated
    steps: list[Step] = field(default_factory=list)  # those still to come, the first is on its way
    tags: list[int] = field(default_factory=lambda: [1, 1])
    found: list[tuple[Address, Address | None] | None] = field(default_factory=lambda: [None, None])
    hosts: tuple[tuple[Address, Address | None], tuple[Address, Address | None]] | None = None
    old_call: str = ""  # to be deleted once the new one carries
    again: bool = False  # the legs changed while something was being negotiated
    used: frozenset[bytes] = field(default=frozenset(), repr=False)  # master keys, on the engine before
    version: int = 0
    over: bool = False
    packets: tuple[int, int] = (0, 0)  # RTP packets that the engine has taken, and those that it could not use

    @property
    def busy(self) -> bool:
        return bool(self.steps)


class Engine:
    """`index` is its place among the engines: the owner's sockets have the same."""

    def __init__(self, index: int, settings: EngineSettings, now: float) -> None:
        self.index = index
        self.settings = settings
        self.liveness = Liveness(now)
        self.client: NgClient[object] = NgClient()
        self.sessions: dict[int, NgSession] = {}
        self.draining = False
        self.next_ping = now
        self.next_look = now
        self.pinging = False
        self.full = False  # by its own count: not asked again before the next look
        self.orphans: list[str] = []  # calls that it may still have, though they are over or went on elsewhere
        self.total = 0
        self.theirs = 0  # sessions by its own count, other controllers' among them
        self.uptime = 0

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def up(self) -> bool:
        return self.liveness.state is State.UP

    @property
    def load(self) -> float:
        """Sessions for its weight, counting one more."""
        return (len(self.sessions) + 1) / self.settings.weight

    @property
    def takes(self) -> bool:
        """Whether it may get another session."""
        return self.up and not self.draining and not self.full and len(self.sessions) < self.settings.sessions

    def abandon(self, *calls: str) -> None:
        """It is to be told to delete them when it is back."""
        self.orphans += [call for call in calls if call][: MOST_ORPHANS - len(self.orphans)]
