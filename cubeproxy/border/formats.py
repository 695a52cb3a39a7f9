"""Which formats go to the other leg: those that both dial peers allow, or through a transcoder those of its own.

Vendor: `codec`, `voice-class codec`, `dtmf-relay`; a transcoder stands between two codecs when the dial peers have none
in common and a profile (`dspfarm profile N transcode`) has both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cubeproxy.border.descriptions import EVENTS, Formats, Refused, allows
from cubeproxy.border.plan import Peer
from cubeproxy.protocols.values import Codec

Transcodes = Callable[[str, str], bool]  # RTP encoding names of both sides

# Payload type (-1: a dynamic one) and clock of what a dial peer offers by itself (RFC 3551 6).
NUMBERS = {
    "pcmu": (0, 8000),
    "g723": (4, 8000),
    "pcma": (8, 8000),
    "g722": (9, 8000),
    "g728": (15, 8000),
    "g729": (18, 8000),
    "g726-16": (-1, 8000),
    "g726-24": (-1, 8000),
    "g726-32": (-1, 8000),
    "ilbc": (-1, 8000),
    "opus": (-1, 48000),
}
STEREO = {"opus"}  # its rtpmap always says two channels (RFC 7587 7)
DYNAMIC = range(96, 128)
EVENT = 101  # payload type of telephone events, unless the offerer's is another


def common_formats(formats: Formats, first: Peer, second: Peer) -> Formats:
    """What both dial peers allow, in the offerer's order. Refused when no codec is left."""
    kept = [
        (number, codec)
        for number, codec in formats
        if (first.dtmf and second.dtmf if codec.name == EVENTS else allows(first, codec) and allows(second, codec))
    ]
    if all(codec.name == EVENTS for _, codec in kept):
        names = ", ".join(codec.name for _, codec in formats) or "none that is known"
        raise Refused("no-codec", f"codecs offered: {names}")
    clocks = {codec.clock for _, codec in kept if codec.name != EVENTS}
    return [(number, codec) for number, codec in kept if codec.name != EVENTS or codec.clock in clocks]


def agree(formats: Formats, first: Peer, second: Peer, transcodes: Transcodes) -> tuple[Formats, Formats]:
    """(what may be answered to the offerer, what the other leg is offered): the same object unless a transcoder stands
    between them. Refused when neither is possible."""
    try:
        same = common_formats(formats, first, second)
    except Refused:
        for number, codec in formats:
            if codec.name != EVENTS and allows(first, codec):
                others = [name for name in second.encodings if name in NUMBERS and transcodes(codec.name, name)]
                if others:
                    return _across(formats, (number, codec), others, events=(first.dtmf, second.dtmf))
        raise
    return same, same


def disjoint(first: Peer, second: Peer, transcodes: Transcodes) -> bool:
    """Whether a delayed offer, whatever it has, will take a transcoder: the dial peers have no codec in common."""
    if set(first.encodings) & set(second.encodings):
        return False
    return any(transcodes(one, other) for one in first.encodings for other in second.encodings)


def _across(
    formats: Formats, chosen: tuple[int, Codec], others: list[str], *, events: tuple[bool, bool]
) -> tuple[Formats, Formats]:
    """`events`: whether digits may be told as events on either leg. On a leg without them a transcoder hears tones and
    makes them."""
    codec = chosen[1]
    told = [(number, event) for number, event in formats if events[0] and event == Codec(EVENTS, codec.clock)][:1]
    number = told[0][0] if told else EVENT
    there = list(_numbered(others, taken=number))
    if events[1]:
        there.append((number, Codec(EVENTS, there[0][1].clock)))
    return [chosen, *told], there


def _numbered(names: list[str], taken: int) -> Iterator[tuple[int, Codec]]:
    free = iter([number for number in DYNAMIC if number != taken])
    for name in names:
        number, clock = NUMBERS[name]
        yield (next(free) if number < 0 else number), Codec(name, clock, 2 if name in STEREO else 1)
