"""Tells the operator of calls whose media can be seen to be wrong. Sans-IO: looks at counters when it is asked to.

A leg with SRTP whose packets all fail authentication is silence in one direction, and nothing in signalling says so.
It is reported once a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cubeproxy.protocols.values import Event, Severity, Side

FAILURES = 50  # packets in a row: one second of speech

Verified = Callable[[int], "tuple[tuple[int, int], tuple[int, int]]"]  # session -> (accepted, failed) of both legs


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
    """What was seen of a session: per leg the packets accepted, and how many had failed by then."""

    call: WatchedCall
    accepted: list[int] = field(default_factory=lambda: [0, 0])
    failed: list[int] = field(default_factory=lambda: [0, 0])
    said: bool = False


class MediaWatch:
    def __init__(self, verified: Verified, report: Callable[[Event], None]) -> None:
        self._verified = verified
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
        if sight.said:
            return
        for leg, (accepted, failed) in enumerate(self._verified(session)):
            if accepted != sight.accepted[leg]:
                sight.accepted[leg], sight.failed[leg] = accepted, failed
            elif failed - sight.failed[leg] > FAILURES:
                sight.said = True
                self._report(_event(sight.call, leg, accepted, failed - sight.failed[leg]))
                return


def _event(call: WatchedCall, leg: int, accepted: int, failed: int) -> Event:
    side = call.legs[leg].side
    return Event(
        "media.auth-failures",
        Severity.WARNING,
        f"call {call.name}: {failed} packets in a row fail authentication on the {side.value} side",
        device=call.legs[leg].device,
        call=call.name,
        cause="auth-failures",
        fix="the peer protects with another key than it announced",
        fields={"side": side.value, "failed": failed, "accepted_before": accepted},
    )
