"""What a negotiation is made of: the session agreed on, each leg's half of the talk, and the offer that is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cubeproxy.border.descriptions import Formats
from cubeproxy.border.interworking import Kind
from cubeproxy.border.plan import Peer
from cubeproxy.protocols.sdes import CryptoLine, fresh
from cubeproxy.protocols.sdp import Media, SessionDescription
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address, StreamSpec

Octets = Callable[[int], bytes]  # that many random octets


@dataclass(slots=True, frozen=True)
class Session:
    """The negotiated media of a call. A leg whose stream is refused is None."""

    legs: tuple[StreamSpec | None, StreamSpec | None]
    kinds: tuple[Kind, Kind]

    @property
    def differ(self) -> bool:
        """Whether the legs have different codecs."""
        first, second = self.legs
        return first is not None and second is not None and first.codec != second.codec


@dataclass(slots=True)
class Half:
    """One leg's half of the negotiation. `peer` is fixed for the call, the rest follows the descriptions."""

    peer: Peer
    local: Address = ("", 0)
    kind: Kind | None = None
    fallback: bool = False  # the next offer is RTP: the peer refused SRTP and `srtp fallback` allows it
    session_id: int = 0
    version: int = 0
    sent: bytes = field(default=b"", repr=False)  # our last description on this leg, its keys included
    send_keys: dict[Suite, MasterKey] = field(default_factory=dict)
    lines: list[CryptoLine] = field(default_factory=list)  # the crypto lines of our open offer
    layout: list[Media] = field(default_factory=list)  # the m-lines of this leg, all refused; none may ever go
    place: int = 0  # which of them is the audio

    def send_key(self, suite: Suite, rng: Octets) -> MasterKey:
        """Our key on this leg for a suite: made once."""
        if suite not in self.send_keys:
            self.send_keys[suite] = fresh(suite, rng)
        return self.send_keys[suite]


@dataclass(slots=True)
class OpenOffer:
    """An open offer: what its writer said, and what we made of it for the other leg."""

    source: int
    description: SessionDescription
    place: int  # which m-line is the audio
    media: Media
    formats: Formats  # of the offerer's leg
    there: Formats  # what the other leg is offered: the same object, unless a transcoder stands between them
    answer_line: CryptoLine | None  # what we will answer with on the offerer's leg
    receive_key: MasterKey | None
