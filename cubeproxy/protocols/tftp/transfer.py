"""What both ends of a transfer have in common: a place in a table, a peer, and two alarms.

Time is an argument, in seconds of any clock that does not go back. The owner gives every datagram of the transfer's
socket to `receive`, calls `timeout` at `deadline`, and carries out what comes back. A datagram from elsewhere than the
peer gets ERROR 5 and changes nothing (RFC 1350 4). A transfer that is over takes everything and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.tftp.options import PLAIN
from cubeproxy.protocols.tftp.packets import Error, ErrorCode, Packet, is_error, parse_packet
from cubeproxy.protocols.values import Address

NEVER = float("inf")


class State(Enum):
    READY = auto()
    OFFERED = auto()  # server: our OACK is out
    FIRST = auto()  # server: the first block is out, and nothing was heard from that address yet
    SENDING = auto()
    ASKED = auto()  # client: our request is out
    RECEIVING = auto()
    DALLYING = auto()  # client: all is there; the last ACK may get lost
    DONE = auto()
    FAILED = auto()


class Input(Enum):
    OFFER = auto()  # start, with options to acknowledge
    BEGIN = auto()  # start
    REQUEST = auto()  # the same request came again
    ACK_OFFER = auto()
    ACK_SOME = auto()
    ACK_ALL = auto()
    ACK_OLD = auto()
    OACK = auto()
    BAD_OACK = auto()
    DATA_NEXT = auto()
    DATA_LAST = auto()
    DATA_OTHER = auto()  # seen before, or one is missing before it
    TOO_LARGE = auto()
    ERROR = auto()
    ILLEGAL = auto()  # what no TFTP peer sends here
    RESEND = auto()  # the first alarm
    DALLIED = auto()  # the first alarm, after the end
    SILENCE = auto()  # the first alarm, once too often
    OVERTIME = auto()  # the second alarm: the session has lasted too long


@dataclass(slots=True)
class Send:
    data: bytes = field(repr=False)
    to: Address


@dataclass(slots=True)
class Completed:
    """The server's end: the peer has everything."""

    octets: int


@dataclass(slots=True)
class Received:
    """The client's end: the whole file. The transfer goes on for a while to repeat its last ACK."""

    content: bytes = field(repr=False)


@dataclass(slots=True)
class Failed:
    """`cause`: "no-answer", "session-timeout", "peer-error", "illegal", "options" or "too-large"."""

    cause: str
    text: str
    code: int = 0  # of the peer's ERROR


Effect = Send | Completed | Received | Failed
Action = Callable[..., None]  # (machine, packet, now, out)
Table = dict[tuple[State, Input], tuple[Action, State]]


@dataclass(slots=True, frozen=True)
class Pace:
    """Seconds. Retransmissions double from `first` to `last`; an agreed timeout stands in the place of both."""

    first: float = 1.0
    last: float = 8.0
    tries: int = 5  # retransmissions in a row
    patience: float = 10.0  # for the first ACK; a client repeats its request
    session: float = 180.0  # `session-timeout`


PACE = Pace()


class Transfer:
    """One file on its way. `peer` is None until it is known."""

    table: ClassVar[Table]
    kind: ClassVar[str]

    def __init__(self, pace: Pace) -> None:
        self.state = State.READY
        self.pace = pace
        self.terms = PLAIN
        self.peer: Address | None = None
        self.tries = 0
        self.resend_at = NEVER
        self.over_at = NEVER

    @property
    def over(self) -> bool:
        return self.state in (State.DONE, State.FAILED)

    @property
    def deadline(self) -> float | None:
        """When `timeout` wants to be called, None for never."""
        at = min(self.resend_at, self.over_at)
        return None if self.over or at == NEVER else at

    def receive(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """A datagram that came to the socket of this transfer."""
        if self.over:
            return []
        if not self.is_peer(source):
            return [] if is_error(data) else [Send(STRANGER, source)]
        try:
            packet = parse_packet(data)
        except RemoteProtocolError as error:
            return self.feed(Input.ILLEGAL, str(error), now)
        if isinstance(packet, Error):
            return self.feed(Input.ERROR, packet, now)
        return self.feed(self.judge(packet), (packet, source), now)

    def timeout(self, now: float) -> list[Effect]:
        """Both alarms; does nothing when none has gone off."""
        out: list[Effect] = []
        if not self.over and self.resend_at <= now:
            self.resend_at = NEVER
            out += self.feed(self.alarm(), None, now)
        if not self.over and self.over_at <= now:
            out += self.feed(Input.OVERTIME, None, now)
        return out

    def feed(self, event: Input, payload: Any, now: float) -> list[Effect]:
        """One step of the table. LocalProtocolError when there is no such row."""
        row = self.table.get((self.state, event))
        if row is None:
            raise LocalProtocolError(f"TFTP {self.kind} in {self.state.name} takes no {event.name}")
        self.state = row[1]
        out: list[Effect] = []
        row[0](self, payload, now, out)
        return out

    def is_peer(self, source: Address) -> bool:
        raise NotImplementedError

    def judge(self, packet: Packet) -> Input:
        """Which input a packet of the peer is in this state."""
        raise NotImplementedError

    def alarm(self) -> Input:
        """Which input the first alarm is."""
        return Input.RESEND if self.tries < self.pace.tries else Input.SILENCE

    def send(self, packet: Packet, out: list[Effect]) -> None:
        assert self.peer is not None
        out.append(Send(packet.serialise(), self.peer))

    def progress(self, now: float) -> None:
        """Something new came: the back-off starts again."""
        self.tries = 0
        self.resend_at = now + (self.terms.timeout or self.pace.first)

    def back_off(self, now: float) -> None:
        self.tries += 1
        self.resend_at = now + (self.terms.timeout or min(self.pace.first * 2**self.tries, self.pace.last))


STRANGER = Error(ErrorCode.UNKNOWN_TID, "Unknown transfer ID").serialise()


def absorb(_machine: Transfer, _payload: Any, _now: float, _out: list[Effect]) -> None:
    """Nothing to do, and known to be so."""


def peer_failed(_machine: Transfer, error: Error, _now: float, out: list[Effect]) -> None:
    out.append(Failed("peer-error", error.text or f"error {error.code}", error.code))


def refuse_illegal(machine: Transfer, payload: Any, _now: float, out: list[Effect]) -> None:
    """An ERROR ends a transfer, and is not acknowledged (RFC 1350 7)."""
    machine.send(Error(ErrorCode.ILLEGAL, "Illegal TFTP operation"), out)
    text = payload if isinstance(payload, str) else f"{type(payload[0]).__name__} out of place"
    out.append(Failed("illegal", text))


def fall_silent(_machine: Transfer, _payload: None, _now: float, out: list[Effect]) -> None:
    """Nobody is there: nothing more is sent."""
    out.append(Failed("no-answer", "the peer does not answer"))


def end_session(machine: Transfer, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.send(Error(ErrorCode.UNDEFINED, "Session timeout"), out)
    out.append(Failed("session-timeout", f"not finished after {machine.pace.session:g} s"))
