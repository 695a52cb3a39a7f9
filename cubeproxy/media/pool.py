"""Who carries which call: workers, their slots and ports. Sans-IO.

`receive` takes the commands of the border; what comes back is for `server` to carry out: pairs to bind,
messages for workers, events for calls. Binding can fail because a port is somebody else's, so a
reservation has two steps: `Bind` goes out, and `bound` or `occupied` comes back.

A session of a lost worker is lost with it; its ports rest, its name stays known until the call releases it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.media.commands import Close, Command, Open, Update
from cubeproxy.media.ports import PortPool
from cubeproxy.protocols.values import (
    Address,
    MediaCommand,
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    UpdateMedia,
)

INET, INET6 = 2, 10  # Linux's numbers; this room does not import socket


@dataclass(slots=True)
class Bind:
    """Bind RTP and, on the next port, RTCP of both legs; then `bound` or `occupied`."""

    session: int
    rtp: tuple[Address, Address]


@dataclass(slots=True)
class Send:
    """A message for a worker. With `Open` go the sockets of its session."""

    worker: int
    command: Command


Effect = Bind | Send | MediaReserved | MediaRefused | MediaLost


@dataclass(slots=True)
class Member:
    """A worker as the pool sees it: free slots (the last is used next) and the sessions that it carries."""

    free: list[int]
    sessions: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Placement:
    """A session: where it is carried and which ports it has."""

    ticket: int
    worker: int
    slot: int
    rtp: tuple[Address, Address]


class MediaPool:
    """`ports` gives the pairs; workers come and go by `joined` and `lost`."""

    def __init__(self, ports: PortPool) -> None:
        self.ports = ports
        self.draining = False
        self.sessions: dict[int, Placement] = {}
        self._members: dict[int, Member] = {}
        self._next = 1

    def joined(self, worker: int, slots: int) -> None:
        """A worker with room for `slots` sessions takes calls from now on."""
        self._members[worker] = Member(list(range(slots - 1, -1, -1)))

    def lost(self, worker: int, cause: str, now: float) -> list[MediaLost]:
        """A worker is gone, and its sessions with it."""
        member = self._members.pop(worker, None)
        if member is None:
            return []
        for session in member.sessions:
            self._forget(session, now)
        return [MediaLost(session, cause) for session in sorted(member.sessions)]

    def receive(self, command: MediaCommand, now: float) -> list[Effect]:
        """A command of the border. Update and release of a session that is gone are nothing."""
        if isinstance(command, ReserveMedia):
            return [self._reserve(command, now)]
        placement = self.sessions.get(command.session)
        if placement is None:
            return []
        if isinstance(command, UpdateMedia):
            return [self._update(command, placement)]
        return self._release(command, placement, now)

    def bound(self, session: int) -> list[Effect]:
        """The ports of a session are bound: it can be opened."""
        placement = self.sessions[session]
        families = [INET6 if ":" in host else INET for host, _port in placement.rtp]
        opened = Open(session, placement.slot, *families)
        return [MediaReserved(placement.ticket, session, placement.rtp), Send(placement.worker, opened)]

    def occupied(self, session: int, leg: int, now: float) -> list[Effect]:
        """A port of this leg's pair is somebody else's: the pair rests, another is tried."""
        placement = self.sessions[session]
        host, port = placement.rtp[leg]
        another = self.ports.take(host, now)
        if another is None:
            return [self.unbindable(session, f"no free port pair on {host}", now)]
        self.ports.give(host, port, now)
        rtp = list(placement.rtp)
        rtp[leg] = (host, another)
        placement.rtp = (rtp[0], rtp[1])
        return [Bind(session, placement.rtp)]

    def unbindable(self, session: int, text: str, now: float) -> MediaRefused:
        """No ports for this session; what it had goes back."""
        placement = self.sessions[session]
        self._forget(session, now)
        self._free(session, placement)
        return MediaRefused(placement.ticket, "no-ports", text)

    def _reserve(self, command: ReserveMedia, now: float) -> Effect:
        ticket = command.ticket
        if command.need is Need.TRANSCODER:
            return MediaRefused(ticket, "no-transcoder", "no transcoder is registered")
        if self.draining:
            return MediaRefused(ticket, "pool-full", "the media pool drains")
        if not self._members:
            return MediaRefused(ticket, "no-worker", "no media worker is running")
        worker = min(self._members, key=lambda each: len(self._members[each].sessions))
        member = self._members[worker]
        if not member.free:
            return MediaRefused(ticket, "engine-full", "every media worker is full")
        rtp: list[Address] = []
        for host in command.local:
            port = self.ports.take(host, now)
            if port is None:
                for taken_host, taken in rtp:
                    self.ports.give(taken_host, taken, now)
                return MediaRefused(ticket, "no-ports", f"no free port pair on {host}")
            rtp.append((host, port))
        session = self._next
        self._next += 1
        self.sessions[session] = Placement(ticket, worker, member.free.pop(), (rtp[0], rtp[1]))
        member.sessions.add(session)
        return Bind(session, (rtp[0], rtp[1]))

    def _update(self, command: UpdateMedia, placement: Placement) -> Effect:
        first, second = command.legs
        if first is not None and second is not None and first.codec != second.codec:
            text = f"{first.codec.name} and {second.codec.name} need a transcoder"
            return MediaRefused(placement.ticket, "no-transcoder", text)
        return Send(placement.worker, Update(command.session, command.legs))

    def _release(self, command: ReleaseMedia, placement: Placement, now: float) -> list[Effect]:
        self._forget(command.session, now)
        self._free(command.session, placement)
        return [Send(placement.worker, Close(command.session))]

    def _forget(self, session: int, now: float) -> None:
        placement = self.sessions.pop(session)
        for host, port in placement.rtp:
            self.ports.give(host, port, now)

    def _free(self, session: int, placement: Placement) -> None:
        member = self._members.get(placement.worker)
        if member is not None:
            member.sessions.discard(session)
            member.free.append(placement.slot)
