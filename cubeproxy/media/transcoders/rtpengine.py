"""rtpengines: the member of the pool that has others carry sessions, told by the ng control protocol. Sans-IO.

Media goes from the SIP leg through a hop to the engine, from the engine through a second hop to the other SIP leg, as
with a DSP farm: hops pass packets on unopened, keys are the engine's alone, and they are those of the SDES lines
(`ng_call` tells how). A session goes to the engine with the fewest sessions for its weight. An engine that stops
answering, or has restarted, loses its sessions: they go on at another one, once the border has keys for it that
protected nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from secrets import token_hex

from cubeproxy.media.transcoders.ng_call import Side, command, new_receive_keys, read, same_contexts, steps
from cubeproxy.media.transcoders.ng_engine import Engine, EngineSettings, NgSession, Phase
from cubeproxy.media.transcoders.words import (
    Capability,
    Capacity,
    Legs,
    MemberLost,
    MemberMoved,
    NgSend,
    Output,
    Refusal,
    hops_around,
    sending_keys,
)
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.ng import client
from cubeproxy.protocols.ng.liveness import LOOK, PERIOD, Input, News
from cubeproxy.protocols.ng.messages import Command, Delete, Ping, Query, Reply, Statistics
from cubeproxy.protocols.values import PASS_THROUGH, Address, Event, Severity, StreamSpec

AUDITED = 20  # sessions asked about at one look: an engine forgets a call that was silent for a minute
UNKNOWN_CALL = "Unknown call-id"


class _Token:
    """What a request was for, where there is nothing more to say."""


PING, LOOK_AT = _Token(), _Token()


@dataclass(slots=True, frozen=True)
class _Said:
    session: NgSession
    call: str


@dataclass(slots=True, frozen=True)
class _Asked:
    session: NgSession
    call: str


class Rtpengines:
    """The member of the pool. `inside` is our address towards the engines."""

    name = "rtpengine"
    hops = 2
    capabilities = frozenset(
        {
            Capability.GCM_128,
            Capability.GCM_256,
            Capability.SECURE_BOTH,
            Capability.CODECS,
            Capability.PACKETISATION,
            Capability.REPORTS,
            Capability.REHOMING,
            Capability.DRAIN,
        }
    )

    def __init__(self, engines: Sequence[EngineSettings], inside: str, now: float = 0.0) -> None:
        self.engines = [Engine(index, settings, now) for index, settings in enumerate(engines)]
        self.inside = inside
        self.total = self.failed = self.moved = 0
        self._sessions: dict[int, NgSession] = {}

    @property
    def sessions(self) -> Mapping[int, NgSession]:
        """Sessions in progress, by the pool's number: for shows."""
        return self._sessions

    def refusal(self) -> Refusal | None:
        if not any(engine.up for engine in self.engines):
            return Refusal("no-transcoder", "no rtpengine answers")
        if not any(engine.takes for engine in self.engines):
            draining = all(engine.draining for engine in self.engines if engine.up)
            return Refusal("pool-full", "every rtpengine drains" if draining else "every rtpengine is full")
        return None

    def capacity(self) -> Capacity:
        offered = sum(engine.settings.sessions for engine in self.engines if engine.up and not engine.draining)
        return Capacity(offered, len(self._sessions))

    def statistics(self) -> dict[str, int]:
        return {"sessions": self.total, "failed": self.failed, "moved": self.moved}

    def reserve(self, session: int, now: float) -> None:
        engine = self._choose()
        if engine is None:
            raise LocalProtocolError("no rtpengine takes a session")
        self._sessions[session] = engine.sessions[session] = NgSession(session, engine)
        self.total += 1
        engine.total += 1

    def update(self, session: int, legs: Legs, inside: Sequence[Address], now: float) -> list[Output]:
        placed = self._sessions.get(session)
        if placed is None:
            return []
        placed.legs, placed.inside = legs, inside
        return [*_hops(placed), *self._negotiate(placed, now)]

    def release(self, session: int, now: float) -> list[Output]:
        placed = self._sessions.get(session)
        return self._forget(placed, now) if placed is not None else []

    def drain(self, name: str, *, resume: bool = False) -> bool:
        """Take an engine out of service, or back: its sessions go on, it gets no other. Whether there is such a one."""
        found = [engine for engine in self.engines if engine.name == name]
        for engine in found:
            engine.draining = not resume
        return bool(found)

    # the engines' side

    def received(self, engine: int, datagram: bytes, now: float) -> list[Output]:
        which = self.engines[engine]
        return self._said(which, which.client.receive(datagram, now), now)

    @property
    def deadline(self) -> float | None:
        alarms = (engine.client.deadline for engine in self.engines)
        pings = (engine.next_ping for engine in self.engines if not engine.pinging)
        return min((at for at in (*alarms, *pings) if at is not None), default=None)

    def timeout(self, now: float) -> list[Output]:
        out: list[Output] = []
        for engine in self.engines:
            out += self._said(engine, engine.client.timeout(now), now)
            if not engine.pinging and engine.next_ping <= now:
                engine.pinging = True
                out.append(self._ask(engine, PING, Ping(), now))
            if engine.up and engine.next_look <= now:
                engine.next_look = now + LOOK
                out.append(self._ask(engine, LOOK_AT, Statistics(), now))
                out += self._audit(engine, now)
        return out

    def _audit(self, engine: Engine, now: float) -> list[Output]:
        """Ask about some sessions, those first that were not asked about for longest."""
        due = [one for one in engine.sessions.values() if one.phase is Phase.CARRIED and not one.busy]
        out: list[Output] = []
        for placed in islice(due, AUDITED):
            engine.sessions[placed.number] = engine.sessions.pop(placed.number)
            out.append(self._ask(engine, _Asked(placed, placed.call), Query(placed.call), now))
        return out

    def _ask(self, engine: Engine, token: object, what: Command, now: float) -> NgSend:
        return NgSend(engine.index, engine.client.ask(token, what, now).datagram)

    def _delete(self, engine: Engine, call: str, now: float) -> NgSend:
        what = Delete(call)
        return self._ask(engine, what, what, now)

    def _said(self, engine: Engine, outputs: Sequence[client.Output[object]], now: float) -> list[Output]:
        out: list[Output] = []
        for output in outputs:
            match output:
                case client.Send(datagram):
                    out.append(NgSend(engine.index, datagram))
                case client.Answered(token, reply):
                    out += self._news(engine, self._alive(engine, token, reply, now), now)
                    out += self._reply(engine, token, reply, now)
                case client.Silent(token):
                    _unheard(engine, token)
                    out += self._news(engine, engine.liveness.receive(Input.SILENCE, now), now)
                    engine.pinging, engine.next_ping = False, now + PERIOD
        return out

    def _alive(self, engine: Engine, token: object, reply: Reply, now: float) -> News:
        if token is not LOOK_AT:
            return engine.liveness.receive(Input.ANSWER, now)
        engine.theirs = reply.number("statistics", "currentstatistics", "sessionstotal")
        engine.full = False
        engine.uptime = reply.number("statistics", "totalstatistics", "uptime")
        return engine.liveness.uptime(engine.uptime, now)

    def _reply(self, engine: Engine, token: object, reply: Reply, now: float) -> list[Output]:
        match token:
            case _Said(placed, call):
                return self._step_done(placed, call, reply, now)
            case _Asked(placed, call) if placed.call == call and not placed.over and not placed.busy:
                if reply.good:
                    placed.packets = reply.number("totals", "RTP", "packets"), reply.number("totals", "RTP", "errors")
                elif reply.reason == UNKNOWN_CALL:
                    return self._displace(placed, f"rtpengine {engine.name} no longer has the call", now)
        if token is PING:
            engine.pinging, engine.next_ping = False, now + PERIOD
        return []

    def _news(self, engine: Engine, news: News, now: float) -> list[Output]:
        """What changed about an engine."""
        if news is News.NONE:
            return []
        if news is News.CAME:
            engine.next_look = now
            orphans, engine.orphans = engine.orphans, []
            event = Event("rtpengine.up", Severity.NOTICE, f"rtpengine {engine.name} answers", peer=engine.name)
            return [event, *(self._delete(engine, call, now) for call in orphans)]
        cause = "does not answer" if news is News.WENT else "has restarted"
        if news is News.WENT:
            for token in engine.client.forget():
                _unheard(engine, token)
        lost = list(engine.sessions.values())
        text = f"rtpengine {engine.name} {cause}; {len(lost)} sessions were there"
        fix = "start it, or take it out of --rtpengine" if news is News.WENT else ""
        out: list[Output] = [
            Event("rtpengine.lost", Severity.ERROR, text, engine.name, cause=cause, fix=fix, fields={"lost": len(lost)})
        ]
        for placed in lost:
            out += self._displace(placed, f"rtpengine {engine.name} {cause}", now, failure="pool-full")
        return out

    # sessions

    def _choose(self) -> Engine | None:
        return min((engine for engine in self.engines if engine.takes), key=lambda each: each.load, default=None)

    def _negotiate(self, placed: NgSession, now: float) -> list[Output]:
        """Tell the engine what it does not know yet."""
        first, second = placed.legs
        if first is None or second is None:
            return []
        if placed.busy:
            placed.again = True
            return []
        try:
            sides = Side.of(first, placed.inside[0]), Side.of(second, placed.inside[1])
            if placed.phase is Phase.MOVING and placed.used & sending_keys(placed.legs):
                return []  # not yet the keys that it waits for
            if not self._plan(placed, sides):
                return []
        except LocalProtocolError as error:
            return self._end(placed, str(error), now)
        placed.wanted = sides
        return self._next_step(placed, now)

    def _plan(self, placed: NgSession, sides: tuple[Side, Side]) -> bool:
        """The steps from what the engine knows to what it has to know; whether there are any."""
        known = placed.said
        if known == sides:
            return False
        alone = new_receive_keys(known, sides) if known is not None else None
        if alone is not None:
            placed.steps = alone
        else:
            placed.steps = steps(sides)
            if known is None or not same_contexts(known, sides):
                placed.old_call, placed.call = placed.call, token_hex(12)
                placed.tags = [1, 1]
        if placed.phase is not Phase.CARRIED:
            placed.phase = Phase.ASKED
        return True

    def _next_step(self, placed: NgSession, now: float) -> list[Output]:
        assert placed.wanted is not None
        placed.version += 1
        what = command(placed.call, placed.steps[0], placed.wanted, placed.tags, placed.version)
        return [self._ask(placed.engine, _Said(placed, placed.call), what, now)]

    def _step_done(self, placed: NgSession, call: str, reply: Reply, now: float) -> list[Output]:
        if placed.over:
            return [self._delete(placed.engine, call, now)]
        if placed.call != call or not placed.steps:
            return []  # of a call that has gone on elsewhere
        if reply.busy:
            placed.engine.full = True
            return self._displace(placed, f"rtpengine {placed.engine.name} is full", now, failure="pool-full")
        if not reply.good:
            if reply.reason == UNKNOWN_CALL:
                return self._displace(placed, f"rtpengine {placed.engine.name} no longer has the call", now)
            return self._end(placed, f"rtpengine {placed.engine.name}: {reply.reason or reply.result}", now)
        step = placed.steps.pop(0)
        try:
            heard = read(step, reply.sdp)
        except RemoteProtocolError as error:
            return self._end(placed, str(error), now)
        placed.found[1 - step.speaker] = heard.rtp, heard.rtcp
        if step.dictates:
            placed.tags[1 - step.speaker] = heard.tag
        return self._next_step(placed, now) if placed.steps else self._agreed(placed, now)

    def _agreed(self, placed: NgSession, now: float) -> list[Output]:
        """The engine knows everything: packets may come."""
        first, second = placed.found
        if first is None or second is None:
            return self._end(placed, "rtpengine told no address", now)
        if any((":" in found[0][0]) != (":" in self.inside) for found in (first, second)):
            return self._end(placed, "the address of the rtpengine is of another family", now)
        placed.hosts, placed.said, placed.phase = (first, second), placed.wanted, Phase.CARRIED
        out = _hops(placed)
        if placed.old_call:
            out.append(self._delete(placed.engine, placed.old_call, now))
            placed.old_call = ""
        if placed.again:
            placed.again = False
            out += self._negotiate(placed, now)
        return out

    def _displace(self, placed: NgSession, cause: str, now: float, failure: str = "media-lost") -> list[Output]:
        """To another engine: at once while its keys have protected nothing, else when the border has new ones."""
        placed.engine.sessions.pop(placed.number, None)
        placed.engine.abandon(placed.call, placed.old_call)
        engine = self._choose()
        if engine is None:
            return self._end(placed, cause, now, failure)
        placed.engine = engine
        engine.sessions[placed.number] = placed
        engine.total += 1
        known = (*placed.said, *(placed.wanted or ())) if placed.said is not None else ()
        used = frozenset(side.send_key.master for side in known if side.send_key is not None)
        placed.said = placed.wanted = placed.hosts = None
        placed.steps, placed.found, placed.call, placed.old_call, placed.again = [], [None, None], "", "", False
        if placed.phase is Phase.MOVING:
            return []
        if not used:
            placed.phase = Phase.EMPTY
            return self._negotiate(placed, now)
        placed.phase, placed.used = Phase.MOVING, used
        self.moved += 1
        return [*_hops(placed), MemberMoved(placed.number, cause)]

    def _end(self, placed: NgSession, cause: str, now: float, failure: str = "media-lost") -> list[Output]:
        self.failed += 1
        placed.steps.clear()  # nothing of it is on its way any more
        return [*self._forget(placed, now), MemberLost(placed.number, cause, failure)]

    def _forget(self, placed: NgSession, now: float) -> list[Output]:
        """Out of every index; the engine is told at once, or when it has answered what it is being asked."""
        self._sessions.pop(placed.number, None)
        placed.engine.sessions.pop(placed.number, None)
        placed.over = True
        calls = [call for call in (placed.call, placed.old_call) if call]
        if placed.busy:
            calls.remove(placed.call)
        return [self._delete(placed.engine, call, now) for call in calls] if placed.engine.up else []


def _unheard(engine: Engine, token: object) -> None:
    """No answer came: of a call that is over, the engine may still have it."""
    match token:
        case Delete(call):
            engine.abandon(call)
        case _Said(placed, call) if placed.over:
            engine.abandon(call)


def _hops(placed: NgSession) -> list[Output]:
    """Nothing passes before the engine's ports are known."""
    inner = (StreamSpec(rtp, PASS_THROUGH, 0, remote_rtcp=rtcp) for rtp, rtcp in placed.hosts or ())
    first, second = inner if placed.hosts else (None, None)
    return hops_around(placed.number, placed.legs, (first, second))
