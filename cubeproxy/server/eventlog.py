"""Operator events, written once: as text for people or as JSON lines for machines.

Three rules. Text that came from a peer is escaped here and nowhere else, so that one event is one
record. The same event again is counted, and the count is written when the repetition ends or every
REPEAT seconds. Who finds ever new ways to be refused gets DISTINCT lines in that time, and is then counted too.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from cubeproxy.protocols.values import Event, Severity

REPEAT = 10.0  # s in which the same event is only counted
DISTINCT = 32  # different complaints of one kind about one address that are written in that time
REMEMBERED = 256  # different events whose repetition is watched

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_CONTROLS |= {ord("\\"): "\\\\", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def escape(text: str) -> str:
    """No control character and no lone surrogate leaves this process in a log line."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


class EventLog:
    """Writes to `out`. `level` is the least severe that is written; `wall` gives the time that is printed."""

    def __init__(
        self,
        out: TextIO,
        *,
        json_lines: bool = False,
        level: Severity = Severity.INFO,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._out = out
        self._render = _as_json if json_lines else _as_text
        self._level = level
        self._clock = clock
        self._wall = wall
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int, Event]] = OrderedDict()
        self._complaints: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()  # since when, how many
        self.counts: dict[str, int] = {}

    def write(self, event: Event) -> None:
        """Write an event, or count it when the same was written a moment ago."""
        self.counts[event.name] = self.counts.get(event.name, 0) + 1
        if event.severity > self._level:
            return
        who = event.peer.rpartition(":")[0] or event.text  # a flood changes its port, not its address
        key: tuple[str, ...] = (event.name, who, event.device, event.call, event.cause, _reason(event))
        now = self._clock()
        if key not in self._seen and self._too_many(event, who, now):
            key = (event.name, who)
        since, repeated, _ = self._seen.get(key, (-REPEAT, 0, event))
        if now - since < REPEAT:
            self._seen[key] = (since, repeated + 1, event)
            return
        self._emit(event, repeated)
        self._seen[key] = (now, 0, event)
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED:
            self._flush(*self._seen.popitem(last=False)[1])

    def tick(self) -> None:
        """Say how often an event came whose repetition is over. Called every second or so."""
        before = self._clock() - REPEAT
        for key in [key for key, (since, _, _) in self._seen.items() if since <= before]:
            self._flush(*self._seen.pop(key))

    def _too_many(self, event: Event, who: str, now: float) -> bool:
        """Whether this address has had its lines for now: one who varies his mistakes must not fill a disk."""
        if event.severity > Severity.WARNING:
            return False
        group = (event.name, who)
        since, written = self._complaints.get(group, (now, 0))
        if now - since >= REPEAT:
            since, written = now, 0
        self._complaints[group] = (since, written + 1)
        self._complaints.move_to_end(group)
        if len(self._complaints) > REMEMBERED:
            self._complaints.popitem(last=False)
        return written >= DISTINCT

    def close(self) -> None:
        """Say what was only counted so far."""
        for entry in self._seen.values():
            self._flush(*entry)
        self._seen.clear()

    def _flush(self, since: float, repeated: int, event: Event) -> None:
        if repeated:
            self._emit(event, repeated)

    def _emit(self, event: Event, repeated: int) -> None:
        try:
            self._out.write(self._render(event, repeated, self._wall()) + "\n")
            self._out.flush()
        except OSError:  # a full disk or a closed pipe must not end a call
            pass


def _reason(event: Event) -> str:
    """What tells two refusals with one cause apart: phones behind one NAT may each have a bad certificate."""
    return f"{event.fields.get('reason', '')} {event.fields.get('subject', '')}"


def _as_text(event: Event, repeated: int, at: datetime) -> str:
    parts = [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z %{event.severity.name} {event.name}: {event.text}"]
    parts += [f"{name}={value}" for name, value in _details(event).items() if name != "fix"]
    if repeated:
        parts.append(f"repeated={repeated}")
    line = escape(" ".join(parts))
    return f"{line}\n  fix: {escape(event.fix)}" if event.fix else line


def _as_json(event: Event, repeated: int, at: datetime) -> str:
    record: dict[str, object] = {
        "time": at.isoformat(timespec="milliseconds"),
        "severity": event.severity.name,
        "event": event.name,
        "text": escape(event.text),
    }
    record |= {name: escape(value) if isinstance(value, str) else value for name, value in _details(event).items()}
    if repeated:
        record["repeated"] = repeated
    return json.dumps(record, default=str)


def _details(event: Event) -> dict[str, object]:
    named = {"peer": event.peer, "device": event.device, "call": event.call, "cause": event.cause, "fix": event.fix}
    return {name: value for name, value in named.items() if value} | dict(event.fields)
