"""Codecs by the number that SCCP has for them, the name that IOS has, and the name that RTP has."""

from __future__ import annotations

from dataclasses import dataclass

from cubeproxy.protocols.sccp.messages import Capability
from cubeproxy.protocols.values import Codec


@dataclass(slots=True, frozen=True)
class CodecRow:
    """`payload_type` -1 is a dynamic one; `period` is the longest packet that IOS reports, in ms."""

    number: int
    ios: str
    rtp: str
    clock: int
    payload_type: int
    period: int

    @property
    def codec(self) -> Codec:
        return Codec(self.rtp, self.clock)


CODECS = (
    CodecRow(0x02, "g711alaw", "pcma", 8000, 8, 30),
    CodecRow(0x04, "g711ulaw", "pcmu", 8000, 0, 30),
    CodecRow(0x06, "g722-64", "g722", 8000, 9, 30),
    CodecRow(0x0B, "g729r8", "g729", 8000, 18, 60),
    CodecRow(0x0C, "g729ar8", "g729", 8000, 18, 60),
    CodecRow(0x0F, "g729br8", "g729", 8000, 18, 60),
    CodecRow(0x10, "g729abr8", "g729", 8000, 18, 60),
    CodecRow(0x52, "g726r32", "g726-32", 8000, -1, 30),
    CodecRow(0x53, "g726r24", "g726-24", 8000, -1, 30),
    CodecRow(0x54, "g726r16", "g726-16", 8000, -1, 30),
    CodecRow(0x56, "ilbc", "ilbc", 8000, -1, 60),
    CodecRow(0x59, "isac", "isac", 16000, -1, 60),
    CodecRow(0x5A, "opus", "opus", 48000, -1, 60),
)
BY_NUMBER = {row.number: row for row in CODECS}
BY_IOS = {row.ios: row for row in CODECS}

# What IOS lists behind the codecs of a plain transcoder profile.
ALWAYS = (
    (0x101, "rfc2833 dtmf"),
    (0x102, "rfc2833 pass-thru"),
    (0x105, "inband-dtmf to rfc2833 conversion"),
)
ALWAYS_PERIOD = 30


def number_of(codec: Codec) -> int | None:
    """The number for a negotiated codec, None when SCCP has none. G.729 without a word is G.729A."""
    if codec.name == "g729":
        return BY_IOS["g729ar8"].number
    return next((row.number for row in CODECS if (row.rtp, row.clock) == (codec.name, codec.clock)), None)


def capabilities(names: list[str]) -> list[Capability]:
    """What a farm answers for the codecs of its profile. Names that SCCP does not have are left out."""
    rows = [BY_IOS[name] for name in names if name in BY_IOS]
    return [
        *(Capability(row.number, row.period) for row in rows),
        *(Capability(number, ALWAYS_PERIOD) for number, _name in ALWAYS),
    ]


def names_of(capabilities: list[Capability]) -> list[tuple[str, int]]:
    """Name and period of each, as shows print them."""
    always = dict(ALWAYS)
    return [
        (
            BY_NUMBER[one.codec].ios if one.codec in BY_NUMBER else always.get(one.codec, f"codec {one.codec}"),
            one.period,
        )
        for one in capabilities
    ]
