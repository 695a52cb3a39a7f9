"""Tells the operator of calls whose media can be seen to be wrong. Sans-IO: looks at counters when it is asked to.

A leg with SRTP whose packets all fail authentication is silence in one direction, and nothing in signalling says so.
A port that gets many datagrams which do not belong to its call is being attacked, or its number was somebody else's
a moment ago. Each is reported once a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cubeproxy.media.counters import Health
from cubeproxy.protocols.values import Event, Severity, Side

FAILURES = 50  # packets in a row: one second of speech
NOISE = 200  # datagrams between two looks: four times what a call sends

Look = Callable[[int], "tuple[Health, Health]"]  # a session's legs


class WatchedLeg(Protocol):
    @property
    def side(self) -> Side: ...
    @property
    def device(self) -> str: ...


class WatchedCall(Protocol):
    """What is needed of a call of the border."""

    @property
    def session(self) -> int:
        """0 while it has no media."""

    @property
    def name(self) -> str: ...
    @property
    def legs(self) -> Sequence[WatchedLeg]: ...


@dataclass(slots=True)
class _Sight:
    """What was seen of a session: per leg the packets accepted, how many had failed by then, and the noise."""

    call: WatchedCall
    accepted: list[int] = field(default_factory=lambda: [0, 0])
    failed: list[int] = field(default_factory=lambda: [0, 0])
    noise: list[int] = field(default_factory=lambda: [0, 0])
    said: set[str] = field(default_factory=set)


class MediaWatch:
    def __init__(self, health: Look, report: Callable[[Event], None]) -> None:
        self._health = health
        self._report = report
        self._sights: dict[int, _Sight] = {}

    def look(self, calls: Iterable[WatchedCall]) -> None:
        """Once a second, at all calls that are up. Sessions of other calls are forgotten."""
        before, self._sights = self._sights, {}
        for call in calls:
            if call.session:
                sight = self._sights[call.session] = before.get(call.session) or _Sight(call)
                self._judge(call.session, sight)

    def released(self, session: int) -> None:
        """A session ends: the last look at its counters."""
        sight = self._sights.pop(session, None)
        if sight is not None:
            self._judge(session, sight)

    def _judge(self, session: int, sight: _Sight) -> None:
        for leg, (accepted, failed, noise) in enumerate(self._health(session)):
            fresh, sight.noise[leg] = noise - sight.noise[leg], noise
            in_a_row = failed - sight.failed[leg]
            if accepted != sight.accepted[leg]:
                sight.accepted[leg], sight.failed[leg] = accepted, failed
            elif in_a_row > FAILURES:
                self._say(sight, leg, _wrong_key(in_a_row, accepted))
            if fresh > NOISE:
                self._say(sight, leg, _noisy(fresh))

    def _say(self, sight: _Sight, leg: int, event: Event) -> None:
        if event.name in sight.said:
            return
        sight.said.add(event.name)
        call, side = sight.call, sight.call.legs[leg].side.value
        event.text = f"call {call.name}, {side} side: {event.text}"
        event.device, event.call = call.legs[leg].device, call.name
        event.fields = {**event.fields, "side": side}
        self._report(event)


def _wrong_key(failed: int, accepted: int) -> Event:
    return Event(
        "media.auth-failures",
        Severity.WARNING,
        f"{failed} packets in a row fail authentication",
        cause="auth-failures",
        fix="the peer protects with another key than it announced",
        fields={"failed": failed, "accepted_before": accepted},
    )


def _noisy(count: int) -> Event:
    return Event(
        "media.noise",
        Severity.WARNING,
        f"{count} datagrams in a second that do not belong to the call; they are dropped",
        cause="noise",
        fix="find their sender in a capture of this port: the call itself is not affected",
        fields={"dropped": count},
    )
