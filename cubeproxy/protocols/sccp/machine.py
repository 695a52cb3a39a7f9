"""What the SCCP machines have in common: a place in a table, and what comes out of a step.

A pair that is missing from a table is a bug of ours (LocalProtocolError) when our side caused the input. What a peer
sends at a moment when nobody asked for it has no row either: it is counted and passed over, as IOS does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.values import Address, Event

NEVER = float("inf")


@dataclass(slots=True)
class Transmit:
    """Send it to the peer, with this header version."""

    message: Message
    version: int = 0


@dataclass(slots=True)
class Connect:
    """Open a connection; the answer is `connected` or `closed`."""

    server: Address


@dataclass(slots=True)
class Disconnect:
    """Close the connection, whether it is up or still being opened. No answer."""


@dataclass(slots=True)
class Probe:
    """See whether a connection to this server could be opened; the answer is `probed`."""

    server: Address


@dataclass(slots=True)
class Deliver:
    """A message about media, for whoever has the streams."""

    message: Message


@dataclass(slots=True)
class FarmUp:
    """The farm is registered; `streams` it has, two a session."""

    name: str
    streams: int


@dataclass(slots=True)
class FarmDown:
    """It is not registered any more, and its streams are gone."""

    cause: str


@dataclass(slots=True)
class Ready:
    """Both channels of a session are open: where the farm receives, leg 0 and leg 1."""

    hosts: tuple[Address, Address]


@dataclass(slots=True)
class SessionFailed:
    """`cause` is a key of the border's failure table. `broken`: it was carried, and could be again by the same farm."""

    cause: str
    text: str
    broken: bool = False


@dataclass(slots=True)
class Counters:
    """Messages of one end of a connection, by name; what was not understood, and what had no row."""

    received: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    unrecognised: int = 0
    unsupported: int = 0
    malformed: int = 0

    def tell(self, message: Message) -> None:
        """One that is sent."""
        name = type(message).__name__
        self.sent[name] = self.sent.get(name, 0) + 1


Output = Transmit | Connect | Disconnect | Probe | Deliver | FarmUp | FarmDown | Ready | SessionFailed | Event
Action = Callable[..., None]  # (machine, argument, now, out)


class Machine:
    """`feed` is one step of the table."""

    table: ClassVar[dict[Any, tuple[Action, Any]]]
    kind: ClassVar[str]

    def __init__(self, state: Enum) -> None:
        self.state: Any = state
        self.counters = Counters()
        self.version = 0  # header version of what we send

    def feed(self, event: Enum, argument: Any, now: float) -> list[Output]:
        """LocalProtocolError when there is no such row."""
        row = self.table.get((self.state, event))
        if row is None:
            raise LocalProtocolError(f"SCCP {self.kind} in {self.state.name} takes no {event.name}")
        action, self.state = row
        out: list[Output] = []
        action(self, argument, now, out)
        return out

    def offer(self, event: Enum, argument: Any, now: float) -> list[Output]:
        """The same for what the peer caused: without a row it is counted and passed over."""
        if (self.state, event) not in self.table:
            self.counters.unsupported += 1
            return []
        return self.feed(event, argument, now)

    def send(self, message: Message, out: list[Output], version: int | None = None) -> None:
        self.counters.tell(message)
        out.append(Transmit(message, self.version if version is None else version))

    def count(self, message: Message | Unknown | RemoteProtocolError) -> bool:
        """Count what came; whether it is a message that can be looked at."""
        if isinstance(message, Message):
            name = type(message).__name__
            self.counters.received[name] = self.counters.received.get(name, 0) + 1
            return True
        if isinstance(message, Unknown):
            self.counters.unrecognised += 1
        else:
            self.counters.malformed += 1
        return False


def absorb(_machine: Machine, _argument: Any, _now: float, _out: list[Output]) -> None:
    """Nothing to do, and known to be so."""
