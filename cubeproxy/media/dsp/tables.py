"""What DSP modules can do, as data. A number is changed here, nowhere else.

How sure a number is, stands behind it: "vendor" (configuration guides), "article" (the line-side design guide that this
emulator follows), "fitted" (chosen so that the article's figures come out), "recalled" (data sheets, from memory).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Complexity(IntEnum):
    """Of a codec. A DSP that serves a class serves those below it."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


@dataclass(slots=True, frozen=True)
class Module:
    """`credits` is what its DSPs share, `channels` how many clear G.711 channels the name promises."""

    name: str
    family: str
    channels: int
    credits: int


CREDITS_PER_CHANNEL = 15  # vendor: 240 credits are 16 channels of G.711

MODULES = {
    name: Module(name, family, channels, CREDITS_PER_CHANNEL * channels)
    for family, sizes in {"PVDM2": (8, 16, 32, 48, 64), "PVDM3": (16, 32, 64, 128, 192, 256)}.items()
    for channels in sizes
    for name in (f"{family}-{channels}",)
}

LOW, MEDIUM, HIGH = Complexity

CODECS = {
    "g711ulaw": LOW,
    "g711alaw": LOW,
    "clear-channel": LOW,
    "g729ar8": MEDIUM,  # vendor
    "g729abr8": MEDIUM,
    "g726r16": MEDIUM,
    "g726r24": MEDIUM,
    "g726r32": MEDIUM,
    "gsmfr": MEDIUM,
    "g722-64": MEDIUM,  # recalled
    "g729r8": HIGH,  # vendor
    "g729br8": HIGH,
    "g723ar53": HIGH,
    "g723ar63": HIGH,
    "g723r53": HIGH,
    "g723r63": HIGH,
    "g728": HIGH,
    "gsmefr": HIGH,
    "ilbc": HIGH,
    "isac": HIGH,  # recalled
}

# family, secure, the more complex side, the other side -> credits of a session
SESSION_CREDITS = {
    ("PVDM2", False, LOW, LOW): 15,  # fitted
    ("PVDM2", False, MEDIUM, LOW): 30,  # vendor: 8 sessions of 240 credits
    ("PVDM2", False, MEDIUM, MEDIUM): 40,  # fitted
    ("PVDM2", False, HIGH, LOW): 40,  # vendor: 6 sessions of 240 credits
    ("PVDM2", False, HIGH, MEDIUM): 60,  # fitted
    ("PVDM2", False, HIGH, HIGH): 60,  # fitted
    ("PVDM2", True, LOW, LOW): 30,  # fitted: as a medium one
    ("PVDM2", True, MEDIUM, LOW): 30,
    ("PVDM2", True, MEDIUM, MEDIUM): 40,
    ("PVDM2", True, HIGH, LOW): 60,
    ("PVDM2", True, HIGH, MEDIUM): 60,
    ("PVDM2", True, HIGH, HIGH): 60,
    ("PVDM3", False, LOW, LOW): 15,  # fitted
    ("PVDM3", False, MEDIUM, LOW): 20,  # recalled: 192 medium channels of 256
    ("PVDM3", False, MEDIUM, MEDIUM): 40,  # fitted
    ("PVDM3", False, HIGH, LOW): 64,  # article: 60 sessions on a PVDM3-256
    ("PVDM3", False, HIGH, MEDIUM): 64,
    ("PVDM3", False, HIGH, HIGH): 64,
    ("PVDM3", True, LOW, LOW): 20,  # article: 192 sessions on a PVDM3-256
    ("PVDM3", True, MEDIUM, LOW): 20,
    ("PVDM3", True, MEDIUM, MEDIUM): 40,
    ("PVDM3", True, HIGH, LOW): 64,
    ("PVDM3", True, HIGH, MEDIUM): 64,
    ("PVDM3", True, HIGH, HIGH): 64,
}

# module, secure, the more complex side, the other side -> sessions, where the article is at odds with its own rule
OVERRIDES = {
    ("PVDM3-16", True, LOW, LOW): 16,  # article; the credits give 12
}
