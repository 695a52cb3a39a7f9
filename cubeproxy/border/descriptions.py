"""What is read out of a description before anybody decides on it: the audio stream, formats, directions."""

from __future__ import annotations

from collections.abc import Container
from ipaddress import ip_address

from cubeproxy.border.plan import Peer
from cubeproxy.protocols.errors import CubeError
from cubeproxy.protocols.sdp import Direction, Media, SessionDescription
from cubeproxy.protocols.values import Address, Codec

EVENTS = "telephone-event"
BROADCAST = "255.255.255.255"

Formats = list[tuple[int, Codec]]  # payload type, codec


class Refused(CubeError):
    """A description that this call cannot take. `cause` is a key of FAILURES."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def parse_description(body: bytes) -> tuple[SessionDescription, int, Media]:
    """The description and its audio stream; a refused one (port 0) counts when there is no other."""
    description = SessionDescription.parse(body)
    place = description.audio_index
    if place is None:
        place = next((i for i, m in enumerate(description.media) if m.kind == "audio" and m.is_rtp), None)
    if place is None:
        raise Refused("no-audio", "no audio stream in the description")
    return description, place, description.media[place]


def check_address(description: SessionDescription, media: Media, reserved: Container[Address]) -> None:
    """Refuse to speak to a group of hosts, or into a signalling port that a phone must not reach through us."""
    address = media.address(description)
    if address is None:
        return
    host = ip_address(address[0])
    if host.is_multicast or address[0] == BROADCAST or address in reserved:
        raise Refused("media-address", f"audio to {address[0]}:{address[1]} is not allowed")


def allows(peer: Peer, codec: Codec) -> bool:
    return not peer.encodings or codec.name in peer.encodings


def effective_direction(media: Media, description: SessionDescription) -> Direction:
    """The direction as written, with the old hold (c=0.0.0.0, RFC 3264 8.4) read as `sendonly`."""
    direction = media.direction(description)
    if media.port and media.address(description) is None:
        return Direction((direction.sends, False))
    return direction


def allowed(answered: Direction, offered: Direction) -> Direction:
    """What an answer may say to an offer (RFC 3264 6.1): an answer that claims more, or nothing, is cut down to it."""
    return Direction((answered.sends and offered.receives, answered.receives and offered.sends))


def answered_formats(offer: Formats, answer: Formats) -> Formats:
    """The formats of an answer that were offered, in the answer's order and with its numbers."""
    codecs = [codec for _, codec in offer]
    kept = [(number, codec) for number, codec in answer if codec in codecs]
    if all(codec.name == EVENTS for _, codec in kept):
        raise Refused("no-codec", "the answer takes no codec that was offered")
    return kept


def renumbered(offer: Formats, answered: Formats) -> Formats:
    """The answered codecs in their order with the offerer's payload types."""
    return [next((number, codec) for number, codec in offer if codec == chosen) for _, chosen in answered]
