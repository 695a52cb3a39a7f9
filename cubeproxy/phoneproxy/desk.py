"""The desk at port 69: who may have a transfer, and all transfers that are running. Sans-IO.

A request from an address that has a transfer is that transfer's (the phone repeats itself), or takes its place when it
is for another file. Beyond `max-concurrent-sessions`, and beyond the budget of its network, a request is dropped
without a word: the phone asks again, and nothing goes out to addresses that may be forged. The owner opens a socket of
its own for each `OpenTransfer`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.phoneproxy.budget import Budget
from cubeproxy.phoneproxy.names import Wanted, classify
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.tftp import Error, ErrorCode, Request, Sender, parse_packet, refusal
from cubeproxy.protocols.tftp.options import LIMITS, Limits
from cubeproxy.protocols.tftp.transfer import PACE, Completed, Effect, Failed, Pace, Send
from cubeproxy.protocols.values import Address

NOT_FOUND = Error(ErrorCode.NOT_FOUND, "File not found")
MOST_SESSIONS = 200
COST = 516  # octets, the most that one request brings out before it is answered: a block of RFC 1350


@dataclass(slots=True)
class FetchFile:
    """Find the file: the answer is `ready` or `missing` with the same ticket."""

    ticket: int
    wanted: Wanted
    peer: Address


@dataclass(slots=True)
class Answer:
    """A datagram from port 69 itself: an ERROR."""

    data: bytes = field(repr=False)
    to: Address


@dataclass(slots=True)
class OpenTransfer:
    """A new socket for this ticket, before its first `Transmit`."""

    ticket: int


@dataclass(slots=True)
class Transmit:
    """A datagram from the socket of the ticket."""

    ticket: int
    data: bytes = field(repr=False)
    to: Address


@dataclass(slots=True)
class CloseTransfer:
    """The transfer is over. `cause` is "completed", or why it failed; `octets` were the file's."""

    ticket: int
    wanted: Wanted
    peer: Address
    cause: str
    octets: int


DeskEffect = FetchFile | Answer | OpenTransfer | Transmit | CloseTransfer


@dataclass(slots=True)
class _Session:
    ticket: int
    request: Request
    wanted: Wanted
    peer: Address
    until: float  # how long the file is waited for
    sender: Sender | None = None
    spent: int = 0  # octets of the budget; they come back when the peer answers


class Desk:
    """All TFTP sessions of one phone proxy."""

    def __init__(self, most: int = MOST_SESSIONS, pace: Pace = PACE, limits: Limits = LIMITS) -> None:
        self.most = most
        self.pace = pace
        self.limits = limits
        self.budget = Budget()
        self.dropped = 0  # requests beyond `most` or the budget
        self._sessions: dict[int, _Session] = {}
        self._by_peer: dict[Address, int] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def deadline(self) -> float | None:
        return min((at for session in self._sessions.values() if (at := _deadline(session)) is not None), default=None)

    def receive(self, data: bytes, source: Address, now: float) -> list[DeskEffect]:
        """A datagram at port 69. What is no request is dropped: it has no business here."""
        try:
            request = parse_packet(data)
        except RemoteProtocolError:
            return []
        if not isinstance(request, Request):
            return []
        if not self.budget.spend(source[0], COST, now):
            self.dropped += 1
            return []
        refused = refusal(request)
        wanted = classify(request.file_name)
        if refused is not None or wanted is None:
            return [Answer((refused or NOT_FOUND).serialise(), source)]
        return self._admit(request, wanted, source, now)

    def _admit(self, request: Request, wanted: Wanted, source: Address, now: float) -> list[DeskEffect]:
        out: list[DeskEffect] = []
        session = self._sessions.get(self._by_peer.get(source, 0))
        if session is not None and session.request == request:
            session.spent += COST
            return [] if session.sender is None else self._carry(session, session.sender.repeat(now))
        if session is not None:
            out += self._close(session, "replaced")
        if len(self._sessions) >= self.most:
            self.dropped += 1
            return out
        self._last += 1
        until = now + self.pace.session
        self._sessions[self._last] = _Session(self._last, request, wanted, source, until, spent=COST)
        self._by_peer[source] = self._last
        return [*out, FetchFile(self._last, wanted, source)]

    def ready(self, ticket: int, content: bytes, now: float) -> list[DeskEffect]:
        """The file is there. Nothing happens for a session that is gone."""
        session = self._sessions.get(ticket)
        if session is None or session.sender is not None:
            return []
        session.sender = Sender(content, session.request, session.peer, self.pace, self.limits)
        return [OpenTransfer(ticket), *self._carry(session, session.sender.start(now))]

    def missing(self, ticket: int) -> list[DeskEffect]:
        """There is no such file, or it may not be served: the phone hears the same."""
        session = self._sessions.get(ticket)
        if session is None or session.sender is not None:
            return []
        return [Answer(NOT_FOUND.serialise(), session.peer), *self._close(session, "not-found")]

    def datagram(self, ticket: int, data: bytes, source: Address, now: float) -> list[DeskEffect]:
        """A datagram at the socket of a ticket."""
        session = self._sessions.get(ticket)
        if session is None or session.sender is None:
            return []
        out = self._carry(session, session.sender.receive(data, source, now))
        if session.sender.proved and session.spent:
            self.budget.refund(session.peer[0], session.spent, now)
            session.spent = 0
        return out

    def timeout(self, now: float) -> list[DeskEffect]:
        out: list[DeskEffect] = []
        for session in list(self._sessions.values()):
            if session.sender is not None:
                out += self._carry(session, session.sender.timeout(now))
            elif session.until <= now:
                out += self._close(session, "session-timeout")
        return out

    def _carry(self, session: _Session, effects: list[Effect]) -> list[DeskEffect]:
        out: list[DeskEffect] = []
        for effect in effects:
            match effect:
                case Send():
                    out.append(Transmit(session.ticket, effect.data, effect.to))
                case Completed():
                    out += self._close(session, "completed", effect.octets)
                case Failed():
                    out += self._close(session, effect.cause)
        return out

    def _close(self, session: _Session, cause: str, octets: int = 0) -> list[DeskEffect]:
        del self._sessions[session.ticket]
        if self._by_peer.get(session.peer) == session.ticket:
            del self._by_peer[session.peer]
        return [CloseTransfer(session.ticket, session.wanted, session.peer, cause, octets)]


def _deadline(session: _Session) -> float | None:
    return session.until if session.sender is None else session.sender.deadline
