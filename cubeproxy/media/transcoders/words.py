"""What a transcoder is to the pool, and the words between them.

A session of the pool is carried by one or two sessions of the media service ("hops"): one where the local worker does
all the work, two where a farm stands between them. A member says by `HopUpdate` what its hops have to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from cubeproxy.protocols.sccp.registry import Message
from cubeproxy.protocols.values import PASS_THROUGH, Address, Event, StreamSpec

Legs = tuple[StreamSpec | None, StreamSpec | None]


def sending_keys(legs: Legs) -> frozenset[bytes]:
    """The master keys that protect what we send."""
    return frozenset(leg.send_key.master for leg in legs if leg is not None and leg.send_key is not None)


class Capability(Enum):
    """What a member may be able to do beyond what every member must.

    That is audio under the AES_CM_128 suites, refusal, capacity, re-key, hold and release.
    The behaviour suite of the members runs what a member declares, and knows a reason for what it does not.
    """

    GCM_128 = "SRTP with AEAD_AES_128_GCM"
    GCM_256 = "SRTP with AEAD_AES_256_GCM"
    SECURE_BOTH = "SRTP on both legs, each with keys of its own"
    TWO_SUITES = "SRTP on both legs, each with a suite of its own"
    DTMF = "RFC 4733 events, the payload type mapped"
    TONES = "digits as events on one leg and as tones on the other"
    CODECS = "another codec on either leg"
    PACKETISATION = "another packet period on either leg"
    REPORTS = "RTCP towards each leg, as SRTCP where it is secure"
    REHOMING = "calls survive the loss of what carries them"
    JOINS = "a stream that keeps its key is joined beyond its first rollover"
    DRAIN = "it can be taken out of service while its calls go on"


@dataclass(slots=True)
class HopUpdate:
    """What one hop of a session relays from now on. `session` is the pool's number."""

    session: int
    hop: int
    legs: Legs


@dataclass(slots=True)
class MemberLost:
    """A session is over: whoever carried it is gone, or gave it up. `failure` as in `values.MediaLost`."""

    session: int
    cause: str
    failure: str = "media-lost"


@dataclass(slots=True)
class MemberMoved:
    """A session goes on elsewhere, once its legs have new sending keys: see `values.MediaMoved`."""

    session: int
    cause: str


@dataclass(slots=True)
class SccpSend:
    """A message for a farm's connection. It may hold keys."""

    connection: int
    message: Message
    version: int


@dataclass(slots=True)
class SccpClose:
    connection: int


@dataclass(slots=True)
class NgSend:
    """A datagram for an rtpengine. It may hold keys."""

    engine: int
    datagram: bytes


Output = HopUpdate | MemberLost | MemberMoved | SccpSend | SccpClose | NgSend | Event


def hops_around(session: int, legs: Legs, inner: Legs) -> list[Output]:
    """What both hops do with a transcoder between them, each without codec and keys: those are the transcoder's alone.

    `inner` is where it receives for either leg, None while that is not known: nothing passes before.
    """
    first, second = (
        replace(leg, codec=PASS_THROUGH, send_key=None, receive_key=None) if leg is not None else None for leg in legs
    )
    return [HopUpdate(session, 0, (first, inner[0])), HopUpdate(session, 1, (inner[1], second))]


@dataclass(slots=True, frozen=True)
class Capacity:
    """Sessions that a member could carry, and those that it carries."""

    sessions: int
    in_use: int


@dataclass(slots=True, frozen=True)
class Refusal:
    """Why no session can be placed now: `cause` is "no-transcoder" or "pool-full"."""

    cause: str
    text: str


class Transcoder(Protocol):
    """One way to have sessions transcoded. Sessions are the pool's numbers."""

    name: str
    hops: int
    capabilities: frozenset[Capability]

    @property
    def inside(self) -> str:
        """The local address between two hops and the transcoder; "" with one hop."""

    def refusal(self) -> Refusal | None:
        """None when `reserve` would succeed."""

    def capacity(self) -> Capacity: ...
    def statistics(self) -> dict[str, int]: ...
    def reserve(self, session: int, now: float) -> None: ...
    def update(self, session: int, legs: Legs, inside: Sequence[Address], now: float) -> list[Output]:
        """The negotiated legs, or the next ones; `inside` are the local addresses that face the transcoder."""

    def release(self, session: int, now: float) -> list[Output]: ...

    @property
    def deadline(self) -> float | None:
        """When `timeout` is due; None where nothing waits."""

    def timeout(self, now: float) -> list[Output]: ...
