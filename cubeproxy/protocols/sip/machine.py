"""What the four transactions have in common: their words, their place in a table, and their two alarms.

Three rules. Every transition stands in a table and nowhere else; a pair that is missing is a bug of ours, and what the
network may send at a bad moment has a row that absorbs it. An action appends to `out` and starts or stops alarms, and
knows no socket. Nothing asks whether the transport is reliable: the delays that the machine was given say it.

A machine has two alarms at most: one to send again, one to end the state. A delay of 0 (a reliable transport) ends it
in the same step.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any, ClassVar

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.sip.effects import Output
from cubeproxy.protocols.sip.timers import NEVER, Delays, Lane, Lanes

if TYPE_CHECKING:
    from cubeproxy.protocols.values import Path


class State(IntEnum):
    IDLE = auto()  # made, not started
    CALLING = auto()
    HELD = auto()  # calling, and given up by the user: the CANCEL waits for a provisional response
    TRYING = auto()
    PROCEEDING = auto()
    CANCELLED = auto()  # proceeding, and the CANCEL is out
    ACCEPTED = auto()
    ACKNOWLEDGED = auto()  # accepted, and the ACK has come
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(IntEnum):
    START = auto()  # the user's request
    CANCEL = auto()  # the user gives up its INVITE
    PROVISIONAL = auto()  # 1xx arrived
    SUCCESS = auto()  # 2xx arrived
    FAILURE = auto()  # 3xx-6xx arrived
    FINAL = auto()  # 2xx-6xx arrived, where the difference does not matter
    REQUEST = auto()  # the request arrived, first or again
    ACK = auto()
    SEND_PROVISIONAL = auto()  # the user answers 1xx
    SEND_SUCCESS = auto()
    SEND_FAILURE = auto()
    SEND_FINAL = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    TIMER_2XX = auto()  # RFC 3261 13.3.1.4: send the 2xx again
    TRANSPORT_ERROR = auto()


Action = Callable[..., None]  # (machine, payload, now, out)
Table = dict[tuple[State, Input], tuple[Action, State]]


class Transaction:
    """What the four have in common: a place in the table and the two alarms."""

    __slots__ = ("_expiry", "_lanes", "_resend", "delays", "interval", "path", "siblings", "state")
    table: ClassVar[Table]
    kind: ClassVar[str]

    def __init__(self, path: Path, delays: Delays, lanes: Lanes[Transaction]) -> None:
        self.path = path
        self.state = State.IDLE
        self.siblings: set[Transaction] | None = None  # the layer's: who shares the path
        self.delays = delays
        self._lanes = lanes
        self._resend: Lane[Transaction] | None = None
        self._expiry: Lane[Transaction] | None = None
        self.interval = NEVER  # s, the retransmission that is running

    def feed(self, event: Input, payload: Any, now: float, out: list[Output]) -> None:
        """One step. `payload` is what came or is to be sent, None for a timer. LocalProtocolError: no such row."""
        row = self.table.get((self.state, event))
        if row is None:
            raise LocalProtocolError(f"{self.kind} transaction in {self.state.name} takes no {event.name}")
        self.state = row[1]
        row[0](self, payload, now, out)

    def fire(self, lane: Lane[Transaction], now: float, out: list[Output]) -> None:
        """An alarm of ours, taken out of its lane already."""
        if lane is self._resend:
            self._resend = None
        else:
            self._expiry = None
        self.feed(Input(lane.event), None, now, out)

    def alarms(self) -> dict[str, float]:
        """Which alarms are set, and when they go off. For tests and for show commands."""
        lanes = (lane for lane in (self._resend, self._expiry) if lane is not None)
        return {lane.event.name: lane.waiting[self] for lane in lanes}

    def resend_after(self, event: Input, delay: float, now: float) -> None:
        """(Re)start the retransmission alarm; NEVER starts none."""
        self.stop_resending()
        self.interval = delay
        if delay != NEVER:
            self._resend = self._lanes.start(self, event, delay, now)

    def end_after(self, event: Input, delay: float, now: float, out: list[Output]) -> None:
        """(Re)start the alarm that ends this state; 0 ends it in this step."""
        self.stop_expiry()
        if delay:
            self._expiry = self._lanes.start(self, event, delay, now)
        else:
            self.feed(event, None, now, out)

    def stop_resending(self) -> None:
        if self._resend is not None:
            self._lanes.stop(self, self._resend)
            self._resend = None

    def stop_expiry(self) -> None:
        if self._expiry is not None:
            self._lanes.stop(self, self._expiry)
            self._expiry = None

    def stop(self) -> None:
        self.stop_resending()
        self.stop_expiry()


def absorb(_machine: Transaction, _payload: Any, _now: float, _out: list[Output]) -> None:
    """Nothing to do, and known to be so."""


def finish(machine: Transaction, _payload: Any, _now: float, _out: list[Output]) -> None:
    """The end, of which nobody needs to hear."""
    machine.stop()


def quieten(machine: Transaction, _payload: Any, _now: float, _out: list[Output]) -> None:
    """The way back is gone: send nothing again, but go on absorbing."""
    machine.stop_resending()
