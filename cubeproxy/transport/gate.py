"""The gate: what a connection must show before it may cost anything. Sans-IO.

A connection is plain when it is accepted and costs a socket and a ticket. Only a whole first TLS record earns it one
of the few places where a TLS object is allocated (some 60 kB); who has to wait for a place keeps his ClientHello.
Two rules hold: places are given out fairly between source addresses, and when the hall is full the oldest
connection that has not said anything makes room, since a real phone speaks at once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import IntEnum

from cubeproxy.transport.deadlines import Aging
from cubeproxy.transport.limits import Bucket, Limits


class Phase(IntEnum):
    SILENT = 0  # accepted, nothing (or not enough) said
    WAITING = 1  # said enough, no place for a handshake yet
    SHAKING = 2  # holds a TLS object
    ESTABLISHED = 3
    GONE = 4


class Ticket:
    """One connection inside the gate. `payload` is the caller's."""

    __slots__ = ("payload", "phase", "source")

    def __init__(self, source: str, payload: object = None) -> None:
        self.source = source
        self.phase = Phase.SILENT
        self.payload = payload


@dataclass(slots=True)
class Admitted:
    """Come in. `displaced` is a silent connection that has to be closed for it."""

    ticket: Ticket
    displaced: Ticket | None = None


@dataclass(slots=True)
class Refused:
    """Stay out. `cause`: "half-open", "address-half-open", "established", "address-established" or "penalty"."""

    cause: str


class Tally(dict[str, int]):
    """How many of each source; a source with none is forgotten."""

    def __missing__(self, key: str) -> int:
        return 0

    def move(self, key: str, by: int) -> None:
        left = self[key] + by
        if left:
            self[key] = left
        else:
            self.pop(key, None)


def source_of(host: str) -> str:
    """The unit that slots are counted by: an IPv4 address, or the /64 of an IPv6 address (RFC 6177)."""
    if ":" not in host:
        return host
    host = host.partition("%")[0]
    if host.startswith("::ffff:") and "." in host:
        return host[7:]
    head, _, tail = host.partition("::")
    groups = [group for group in head.split(":") if group]
    if "::" in host:
        rest = [group for group in tail.split(":") if group]
        groups += ["0"] * (8 - len(groups) - len(rest)) + rest
    return ":".join(groups[:4]) + "::/64"


class Gate:
    """Slots and deadlines of one transport's accepted connections."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.half_open = Tally()  # SILENT, WAITING and SHAKING, by source
        self.shaking = Tally()
        self.established = Tally()
        self.half_open_total = 0
        self.shaking_total = 0
        self.established_total = 0
        self._silent: Aging[Ticket] = Aging(limits.first_octet)
        self._handshakes: Aging[Ticket] = Aging(limits.handshake)  # WAITING and SHAKING
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._penalties: OrderedDict[str, Bucket] = OrderedDict()

    def admit(self, host: str, now: float, payload: object = None) -> Admitted | Refused:
        """A connection was accepted from `host`."""
        limits = self.limits
        source = source_of(host)
        penalty = self._penalties.get(source)
        if penalty is not None and penalty.empty(now):
            return Refused("penalty")
        if self.half_open[source] >= limits.half_open_per_address:
            return Refused("address-half-open")
        if self.established[source] >= limits.established_per_address:
            return Refused("address-established")
        if self.established_total >= limits.established_total:
            return Refused("established")
        displaced = None
        if self.half_open_total >= limits.half_open_total:
            displaced = self._silent.oldest()
            if displaced is None:
                return Refused("half-open")
            self.leave(displaced)
        ticket = Ticket(source, payload)
        self.half_open.move(source, 1)
        self.half_open_total += 1
        self._silent.start(ticket, now)
        return Admitted(ticket, displaced)

    def first_record(self, ticket: Ticket, now: float) -> bool:
        """A whole first TLS record came. True: shake hands now. False: wait until `startable` names the ticket."""
        self._silent.stop(ticket)
        self._handshakes.start(ticket, now)
        if self._has_place(ticket.source):
            self._shake(ticket)
            return True
        ticket.phase = Phase.WAITING
        self._waiting.setdefault(ticket.source, deque()).append(ticket)
        return False

    def startable(self) -> list[Ticket]:
        """Waiting tickets for which there is a place now; they are SHAKING from here on. Fair between sources."""
        started: list[Ticket] = []
        while self._waiting and self.shaking_total < self.limits.handshakes_total:
            source = next((s for s in self._waiting if self._has_place(s)), None)
            if source is None:
                break
            queue = self._waiting[source]
            ticket = queue.popleft()
            if queue:
                self._waiting.move_to_end(source)
            else:
                del self._waiting[source]
            self._shake(ticket)
            started.append(ticket)
        return started

    def establish(self, ticket: Ticket) -> None:
        """The peer is known (TLS), or has spoken at all (TCP). A ticket that is gone stays gone."""
        if ticket.phase >= Phase.ESTABLISHED:
            return
        self._leave_half_open(ticket)
        ticket.phase = Phase.ESTABLISHED
        self.established.move(ticket.source, 1)
        self.established_total += 1

    def penalise(self, ticket: Ticket, now: float) -> None:
        """The handshake failed by the peer's fault: too many of those and his address stays out for a while."""
        limits = self.limits
        bucket = self._penalties.get(ticket.source)
        if bucket is None:
            bucket = self._penalties[ticket.source] = Bucket(limits.refusals_per_second, limits.refusals_burst, now)
            if len(self._penalties) > 4096:
                self._penalties.popitem(last=False)
        if not bucket.empty(now):  # a bucket without debt: the way back is never longer than one token
            bucket.take(1, now)

    def leave(self, ticket: Ticket) -> None:
        """The connection is closed, for whatever reason. May be said twice."""
        if ticket.phase is Phase.GONE:
            return
        if ticket.phase is Phase.ESTABLISHED:
            self.established.move(ticket.source, -1)
            self.established_total -= 1
        else:
            self._leave_half_open(ticket)
        ticket.phase = Phase.GONE

    def timeout(self, now: float) -> list[tuple[Ticket, str]]:
        """Tickets whose time is over, with the cause: "first-octet" or "handshake". They have left."""
        over = [(ticket, "first-octet") for ticket in self._silent.expired(now)]
        over += [(ticket, "handshake") for ticket in self._handshakes.expired(now)]
        for ticket, _ in over:
            self.leave(ticket)
        return over

    @property
    def deadline(self) -> float | None:
        times = [time for time in (self._silent.deadline, self._handshakes.deadline) if time is not None]
        return min(times, default=None)

    def _has_place(self, source: str) -> bool:
        limits = self.limits
        return self.shaking_total < limits.handshakes_total and self.shaking[source] < limits.handshakes_per_address

    def _shake(self, ticket: Ticket) -> None:
        ticket.phase = Phase.SHAKING
        self.shaking_total += 1
        self.shaking.move(ticket.source, 1)

    def _leave_half_open(self, ticket: Ticket) -> None:
        source = ticket.source
        self._silent.stop(ticket)
        self._handshakes.stop(ticket)
        self.half_open_total -= 1
        self.half_open.move(source, -1)
        if ticket.phase is Phase.SHAKING:
            self.shaking_total -= 1
            self.shaking.move(source, -1)
        elif ticket.phase is Phase.WAITING:
            queue = self._waiting[source]
            queue.remove(ticket)
            if not queue:
                del self._waiting[source]
