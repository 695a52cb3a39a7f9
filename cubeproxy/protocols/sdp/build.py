"""Descriptions of our own, from parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cubeproxy.protocols.sdp.addresses import write_connection
from cubeproxy.protocols.sdp.media import Direction, Media
from cubeproxy.protocols.sdp.session import Origin, SessionDescription
from cubeproxy.protocols.values import Codec

TELEPHONE_EVENTS = "0-15"  # the digits, *, #, A to D (RFC 4733 3.2)

# Encoding names as the registry spells them, where that is not plain upper case.
_SPELLING = {"telephone-event": "telephone-event", "opus": "opus", "ilbc": "iLBC"}


def rtpmap(payload_type: int, codec: Codec) -> str:
    """Value of an rtpmap attribute."""
    name = _SPELLING.get(codec.name, codec.name.upper())
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    return f"{payload_type} {name}/{codec.clock}{channels}"


def audio(
    port: int,
    codecs: Sequence[tuple[int, Codec]],
    *,
    protocol: str = "RTP/AVP",
    crypto: Iterable[str] = (),
    fmtp: Mapping[int, str] | None = None,
    direction: Direction = Direction.SENDRECV,
    ptime: int | None = None,
) -> Media:
    """An audio m-line: (payload type, codec) in order of preference, crypto values ready made, ptime in ms.

    A telephone-event without an entry in `fmtp` gets the events 0 to 15.
    """
    media = Media("audio", port, protocol, [str(number) for number, _ in codecs])
    for value in crypto:
        media.add("crypto", value)
    for number, codec in codecs:
        media.add("rtpmap", rtpmap(number, codec))
        parameters = (fmtp or {}).get(number, TELEPHONE_EVENTS if codec.name == "telephone-event" else "")
        if parameters:
            media.add("fmtp", f"{number} {parameters}")
    if ptime is not None:
        media.add("ptime", str(ptime))
    media.set_direction(direction)
    return media


def describe(
    address: str, media: Iterable[Media], *, session_id: int, version: int, username: str = "-", name: str = "-"
) -> SessionDescription:
    """A description from `address` (a host literal) for origin and connection. `version` grows with every change."""
    origin = Origin.own(address, session_id, version, username)
    return SessionDescription(origin, list(media), name, connection=write_connection(address))
