"""What the border is told, and what it asks for: events in, effects out.

The border never performs anything. `server` feeds it one event at a time, carries out the effects
that come back in order, and calls `timeout` when `deadline` has passed. Media commands and
operator events (`values.Event`) are effects too.
"""

from __future__ import annotations

from dataclasses import dataclass

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.layer import Transmit
from cubeproxy.protocols.sip.message import Message, Request, Response
from cubeproxy.protocols.values import Event, Flow, MediaCommand, MediaEvent, Path

__all__ = [
    "BorderEvent",
    "Drain",
    "Drained",
    "Effect",
    "FlowClosed",
    "Malformed",
    "MessageArrived",
    "PathFailed",
    "Transmit",
]


@dataclass(slots=True)
class MessageArrived:
    flow: Flow
    message: Request | Response


@dataclass(slots=True)
class Malformed:
    """Bytes that are no message. `message` is what could be read of it, enough to answer or None."""

    flow: Flow
    error: RemoteProtocolError
    message: Message | None


@dataclass(slots=True)
class FlowClosed:
    flow: Flow
    cause: str


@dataclass(slots=True)
class PathFailed:
    """A message could not be delivered: connection refused, name unknown, write failed."""

    path: Path
    cause: str


@dataclass(slots=True)
class Drain:
    """No new calls from now; calls still up after `limit` seconds are ended."""

    limit: float


BorderEvent = MessageArrived | Malformed | FlowClosed | PathFailed | Drain | MediaEvent


@dataclass(slots=True)
class Drained:
    """The last call has ended after `Drain`."""


Effect = Transmit | MediaCommand | Event | Drained
