"""Who carries which call: workers, their slots and ports. Sans-IO.

`receive` takes the commands of the border; what comes back is for `server` to carry out: pairs to bind,
messages for workers, events for calls. Binding can fail because a port is somebody else's, so a
reservation has two steps: `Bind` goes out, and `bound` or `occupied` comes back.

A session whose legs may speak differently is given to a worker when both are known: until then its sockets are bound
and nobody reads them. What differs goes to a worker with codecs, what does not to any.

A session of a lost worker is lost with it; its ports rest, its name stays known until the call releases it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.media.coding import differs
from cubeproxy.media.commands import Close, Command, Open, OpenCoding, Update
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
    """A message for a worker. With `Open` and `OpenCoding` go the sockets of its session."""

    worker: int
    command: Command


@dataclass(slots=True)
class Coders:
    """A worker with codecs has to join; then the command is to be received again."""

    command: UpdateMedia


Effect = Bind | Send | Coders | MediaReserved | MediaRefused | MediaLost


@dataclass(slots=True)
class Member:
    """A worker as the pool sees it: free slots (the last is used next) and the sessions that it carries. One that
    `codes` alone is kept for sessions that need it."""

    free: list[int]
    relays: bool = True
    codes: bool = False
    sessions: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Placement:
    """A session: where it is carried and which ports it has. `worker` is 0 while it waits for both legs."""

    ticket: int
    worker: int
    slot: int
    rtp: tuple[Address, Address]
    codes: bool = False


class MediaPool:
    """`ports` gives the pairs; workers come and go by `joined` and `lost`."""

    def __init__(self, ports: PortPool) -> None:
        self.ports = ports
        self.draining = False
        self.sessions: dict[int, Placement] = {}
        self._members: dict[int, Member] = {}
        self._next = 1

    def joined(self, worker: int, slots: int, *, relays: bool = True, codes: bool = False) -> None:
        """A worker with room for `slots` sessions takes calls from now on: any, or only those that need codecs."""
        self._members[worker] = Member(list(range(slots - 1, -1, -1)), relays, codes)

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
            return self._update(command, placement, now)
        return self._release(command, placement, now)

    def bound(self, session: int) -> list[Effect]:
        """The ports of a session are bound: it can be opened, now or when it is known which worker it takes."""
        placement = self.sessions[session]
        reserved = MediaReserved(placement.ticket, session, placement.rtp)
        return [reserved, self._opened(session, placement)] if placement.worker else [reserved]

    def _opened(self, session: int, placement: Placement) -> Send:
        families = [INET6 if ":" in host else INET for host, _port in placement.rtp]
        make = OpenCoding if placement.codes else Open
        return Send(placement.worker, make(session, placement.slot, *families))

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
        relaying = [member for member in self._members.values() if member.relays]
        if not relaying:
            return MediaRefused(ticket, "no-worker", "no media worker is running")
        if not any(member.free for member in relaying):
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
        placement = self.sessions[session] = Placement(ticket, 0, -1, (rtp[0], rtp[1]))
        if not command.transcodes:
            self._place(session, placement)
        return Bind(session, (rtp[0], rtp[1]))

    def _place(self, session: int, placement: Placement) -> bool:
        """Give a session to the least busy worker that can carry it and has room; whether there is one."""
        able = {
            number: len(member.sessions)
            for number, member in self._members.items()
            if member.free and (member.codes if placement.codes else member.relays)
        }
        if not able:
            return False
        placement.worker = min(able, key=able.__getitem__)
        member = self._members[placement.worker]
        placement.slot = member.free.pop()
        member.sessions.add(session)
        return True

    def _update(self, command: UpdateMedia, placement: Placement, now: float) -> list[Effect]:
        first, second = command.legs
        out: list[Effect] = []
        if not placement.worker:
            if first is None or second is None:
                return []
            placement.codes = differs(first, second)
            if placement.codes and not any(member.codes for member in self._members.values()):
                return [Coders(command)]
            if not self._place(command.session, placement):
                self._forget(command.session, now)
                text = "every media worker that could carry it is full"
                return [MediaLost(command.session, text, "engine-full")]  # reserved long ago: a refusal comes too late
            out.append(self._opened(command.session, placement))
        if first is not None and second is not None and first.codec != second.codec and not placement.codes:
            text = f"{first.codec.name} and {second.codec.name} need a transcoder"
            return [MediaRefused(placement.ticket, "no-transcoder", text)]
        return [*out, Send(placement.worker, Update(command.session, command.legs))]

    def _release(self, command: ReleaseMedia, placement: Placement, now: float) -> list[Effect]:
        self._forget(command.session, now)
        self._free(command.session, placement)
        return [Send(placement.worker, Close(command.session))] if placement.worker else []

    def _forget(self, session: int, now: float) -> None:
        placement = self.sessions.pop(session)
        for host, port in placement.rtp:
            self.ports.give(host, port, now)

    def _free(self, session: int, placement: Placement) -> None:
        member = self._members.get(placement.worker)
        if member is not None:
            member.sessions.discard(session)
            member.free.append(placement.slot)
