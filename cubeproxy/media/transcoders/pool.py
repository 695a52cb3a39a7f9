"""Between the border and the media service: sessions that need a transcoder get one. Sans-IO.

What needs none passes through untouched. What does is placed with a member (LTI before SCCP, as the vendor has it),
gets its one or two hops from the media service, and is one session to the border: the number of its first hop, the
local addresses of its outer ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cubeproxy.config.model import Config, Personality
from cubeproxy.media.transcoders import shelter
from cubeproxy.media.transcoders.admission import lti_profiles
from cubeproxy.media.transcoders.lti import LtiTranscoder
from cubeproxy.media.transcoders.ng_engine import EngineSettings
from cubeproxy.media.transcoders.rtpengine import Rtpengines
from cubeproxy.media.transcoders.sccp import SccpFarms, Session
from cubeproxy.media.transcoders.words import (
    Capability,
    HopUpdate,
    Legs,
    MemberLost,
    MemberMoved,
    NgSend,
    Output,
    Refusal,
    SccpClose,
    SccpSend,
    Transcoder,
    sending_keys,
)
from cubeproxy.protocols.values import (
    Address,
    Event,
    MediaCommand,
    MediaEvent,
    MediaLost,
    MediaMoved,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    Severity,
    UpdateMedia,
)

Effect = MediaCommand | MediaEvent | SccpSend | SccpClose | NgSend | Event
NONE = Refusal("no-transcoder", "no transcoder is configured")


@dataclass(slots=True)
class Placement:
    """A session of the border. `hops` are sessions of the media service, 0 while one is asked for."""

    number: int
    ticket: int
    member: Transcoder
    hops: list[int]
    local: list[tuple[Address, Address]] = field(default_factory=list)
    legs: Legs = (None, None)  # the last update
    had: set[bytes] = field(default_factory=set, repr=False)  # sending keys that its member was told
    spent: set[bytes] = field(default_factory=set, repr=False)  # and those that another one was told before

    @property
    def session(self) -> int:
        return self.hops[0]

    @property
    def inside(self) -> Sequence[Address]:
        """Our addresses that face the transcoder."""
        return (self.local[0][1], self.local[-1][0])


def members_of(config: Config, engines: Sequence[EngineSettings] = (), inside: str = "") -> list[Transcoder]:
    """The transcoders that a configuration has, in the order in which they are used; then the rtpengines, to which our
    address is `inside`."""
    found: list[Transcoder] = []
    profiles = lti_profiles(config)
    if profiles:
        found.append(LtiTranscoder(profiles))
    service = config.telephony
    classic = config.personality is Personality.IOS  # IOS XE has no SCCP transcoding for CUBE
    if classic and service is not None and service.source_address is not None and service.sdspfarm_units:
        found.append(SccpFarms(config))
    if engines:
        found.append(Rtpengines(engines, inside))
    return found


class TranscoderPool:
    """`receive` is the border's side, `inner` the media service's; the farms' side is `farms`, see `heard`."""

    def __init__(self, members: Sequence[Transcoder]) -> None:
        self.members = members
        self.farms = next((one for one in members if isinstance(one, SccpFarms)), None)
        self.engines = next((one for one in members if isinstance(one, Rtpengines)), None)
        self.draining = False
        self._placements: dict[int, Placement] = {}
        self._asked: dict[int, tuple[Placement, int]] = {}  # ticket of ours -> whose hop
        self._hops: dict[int, Placement] = {}  # session of the media service -> whose
        self._next = 1
        self._next_ticket = -1  # ours are negative, so that they never meet one of the border's

    @property
    def sessions(self) -> int:
        return len(self._placements)

    @property
    def deadline(self) -> float | None:
        return min((at for member in self.members if (at := member.deadline) is not None), default=None)

    def timeout(self, now: float) -> list[Effect]:
        return [effect for member in self.members for effect in self.heard(member.timeout(now), now)]

    def outer_hops(self, session: int) -> tuple[int, int]:
        """The media sessions that count the two legs of one of the border's sessions."""
        placement = self._hops.get(session)
        return (placement.hops[0], placement.hops[-1]) if placement is not None else (session, session)

    def border_session(self, number: int) -> int:
        """What the border calls one of our sessions, 0 when it is gone."""
        placement = self._placements.get(number)
        return placement.session if placement is not None else 0

    def farm_session(self, session: int) -> Session | None:
        """How a farm carries one of the border's sessions; None when none does."""
        placement = self._hops.get(session)
        if placement is None or self.farms is None or placement.member is not self.farms:
            return None
        return self.farms.sessions.get(placement.number)

    def receive(self, command: MediaCommand, now: float) -> list[Effect]:
        """A command of the border."""
        if isinstance(command, ReserveMedia):
            return self._reserve(command, now) if command.need is Need.TRANSCODER else [command]
        placement = self._hops.get(command.session)
        if placement is None:
            return [command]
        if not isinstance(command, UpdateMedia):
            return self._release(placement, now)
        placement.legs = command.legs
        if placement.spent & sending_keys(command.legs):
            return []  # it was on its way when the member was lost
        placement.had |= sending_keys(command.legs)
        return self.heard(placement.member.update(placement.number, command.legs, placement.inside, now), now)

    def inner(self, event: MediaEvent, now: float) -> list[Effect]:
        """An event of the media service."""
        match event:
            case MediaReserved(ticket) if ticket < 0:
                return self._reserved(event)
            case MediaRefused(ticket) if ticket < 0:
                return self._refused(event, now)
            case MediaLost(session) if session in self._hops:
                placement = self._hops[session]
                lost = MediaLost(placement.session, event.cause, event.failure)
                return [*self._release(placement, now, gone=session), lost]
        return [event]

    def heard(self, outputs: Sequence[Output], now: float) -> list[Effect]:
        """What a member wants."""
        out: list[Effect] = []
        for output in outputs:
            match output:
                case HopUpdate(number):
                    if placement := self._placements.get(number):
                        out += [UpdateMedia(placement.hops[one.hop], one.legs) for one in _hops(placement, output)]
                case MemberLost(number, cause, failure):
                    if placement := self._placements.get(number):
                        out += self._given_up(placement, cause, failure, now)
                case MemberMoved(number, cause):
                    if placement := self._placements.get(number):
                        out.append(MediaMoved(placement.session, cause))
                case _:
                    out.append(output)
        return out

    # reserving

    def _reserve(self, command: ReserveMedia, now: float) -> list[Effect]:
        if self.draining:
            return [MediaRefused(command.ticket, "pool-full", "the media pool drains")]
        member, refusal = self._choose(command.transcodes)
        if member is None:
            return [MediaRefused(command.ticket, refusal.cause, refusal.text)]
        placement = Placement(self._next, command.ticket, member, [0] * member.hops)
        self._next += 1
        self._placements[placement.number] = placement
        member.reserve(placement.number, now)
        first, second = command.local
        if member.hops == 1:
            coding = Capability.CODECS in member.capabilities
            return [self._ask(placement, 0, command.call, (first, second), Need.CRYPTO, coding)]
        return [
            self._ask(placement, 0, command.call, (first, member.inside), Need.RELAY),
            self._ask(placement, 1, command.call, (member.inside, second), Need.RELAY),
        ]

    def _choose(self, transcodes: bool) -> tuple[Transcoder | None, Refusal]:
        """The first member that can and has room; else why not: a full one says more than one that is not there."""
        refusals = [NONE]
        for member in self.members:
            if transcodes and Capability.CODECS not in member.capabilities:
                refusals.append(Refusal("no-transcoder", f"{member.name} here changes no codec"))
                continue
            refusal = member.refusal()
            if refusal is None:
                return member, NONE
            refusals.append(refusal)
        full = [refusal for refusal in refusals if refusal.cause == "pool-full"]
        return None, (full or refusals)[-1]

    def _ask(
        self, placement: Placement, hop: int, call: str, local: tuple[str, str], need: Need, transcodes: bool = False
    ) -> ReserveMedia:
        ticket = self._next_ticket
        self._next_ticket -= 1
        self._asked[ticket] = placement, hop
        return ReserveMedia(ticket, call, local, need, transcodes)

    def _reserved(self, event: MediaReserved) -> list[Effect]:
        asked = self._asked.pop(event.ticket, None)
        if asked is None or asked[0].number not in self._placements:
            return [ReleaseMedia(event.session)]
        placement, hop = asked
        placement.hops[hop] = event.session
        placement.local.insert(hop, event.local)
        self._hops[event.session] = placement
        if 0 in placement.hops:
            return []
        return [MediaReserved(placement.ticket, placement.session, (placement.local[0][0], placement.local[-1][1]))]

    def _refused(self, event: MediaRefused, now: float) -> list[Effect]:
        """A hop could not be had. One that comes later is about an update that nobody can carry: nothing changes."""
        placement, _hop = self._asked.pop(event.ticket, (None, 0))
        if placement is None or placement.number not in self._placements:
            return []
        return [*self._release(placement, now), MediaRefused(placement.ticket, event.cause, event.text)]

    # ending

    def _release(self, placement: Placement, now: float, gone: int = 0) -> list[Effect]:
        """Everything of a session goes back, but for a first hop that is `gone`: the border still releases that."""
        out = self._drop(placement, gone)
        return [*out, *self.heard(placement.member.release(placement.number, now), now)]

    def _drop(self, placement: Placement, gone: int = 0) -> list[Effect]:
        del self._placements[placement.number]
        out: list[Effect] = []
        for session in placement.hops:
            self._hops.pop(session, None)
            if session and not session == gone == placement.session:
                out.append(ReleaseMedia(session))
        return out

    def _given_up(self, placement: Placement, cause: str, failure: str, now: float) -> list[Effect]:
        """The member is done with it already. Where it found no room, another one may have some."""
        answered = 0 not in placement.hops
        if answered and failure == "pool-full" and (member := self._shelter(placement)) is not None:
            return self._take_in(placement, member, cause, now)
        out = self._drop(placement)
        if answered:
            return [*out, MediaLost(placement.session, cause, failure)]
        return [*out, MediaRefused(placement.ticket, "no-transcoder", cause)]

    def _shelter(self, placement: Placement) -> Transcoder | None:
        """Who could carry a farm's session in the ports that it has: the local worker."""
        if len(placement.hops) < 2 or not shelter.fits(placement.legs):
            return None
        return next((one for one in self.members if isinstance(one, LtiTranscoder) and one.refusal() is None), None)

    def _take_in(self, placement: Placement, member: Transcoder, cause: str, now: float) -> list[Effect]:
        placement.member = member
        placement.spent |= placement.had
        member.reserve(placement.number, now)
        text = f"a session of a DSP farm goes on with {member.name}: {cause}"
        told = Event("media.session.moved", Severity.WARNING, text, cause=cause)
        return [told, MediaMoved(placement.session, cause)] if placement.legs != (None, None) else [told]


def _hops(placement: Placement, update: HopUpdate) -> Sequence[HopUpdate]:
    """What the hops of a session do: one that was made for two has two, whoever carries it now."""
    if len(placement.hops) == placement.member.hops:
        return (update,)
    return shelter.hops(update.session, update.legs, placement.inside)
