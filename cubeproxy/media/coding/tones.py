"""DTMF in samples: heard by correlation with the eight tones (Goertzel's question), and made (ITU-T Q.23, Q.24).

What is heard is looked at in blocks of 10 ms, each together with the one before: a digit is LOOKS of them in a row that
agree, so 40 ms are always enough and 23 ms never (Q.24). Samples are held back by so many blocks: nothing of a tone
goes on as audio.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from functools import cache
from operator import mul
from typing import TypeAlias

from cubeproxy.media.codecs.base import Pcm
from cubeproxy.protocols.telephone_event import DIGITS

LOW = (697, 770, 852, 941)  # Hz
HIGH = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
LOOKS = 3
BLOCK = 100  # of them in a second
QUIET = 90.0  # RMS: about -50 dBm0, below any digit
PURE = 0.6  # of the power has to be in the two tones
TWIST = 6.3  # power ratio of the two: 8 dB, Q.24's largest
FULL_SCALE = 32124.0  # peak of +3.17 dBm0 (G.711 mu-law)
LOUDEST, FAINTEST = 3, 30  # -dBm0 of what we make, whatever an event says


def event_of(digit: str) -> int:
    return DIGITS.index(digit)


@cache
def _waves(rate: int) -> list[tuple[list[float], list[float]]]:
    """Cosine and sine of every tone over two blocks."""
    angles = [[2 * math.pi * tone * place / rate for place in range(2 * rate // BLOCK)] for tone in LOW + HIGH]
    return [([math.cos(one) for one in row], [math.sin(one) for one in row]) for row in angles]


def digit_in(pcm: Pcm, rate: int) -> str:
    """The digit that two blocks of samples hold, "" for none."""
    count = len(pcm)
    energy = sum(map(mul, pcm, pcm))
    if energy < QUIET * QUIET * count:
        return ""
    powers = [2 * (sum(map(mul, pcm, c)) ** 2 + sum(map(mul, pcm, s)) ** 2) / count for c, s in _waves(rate)]
    row = max(range(4), key=powers.__getitem__)
    column = max(range(4, 8), key=powers.__getitem__)
    low, high = powers[row], powers[column]
    if low + high < PURE * energy or max(low, high) > TWIST * min(low, high):
        return ""
    return KEYS[row][column - 4]


@dataclass(slots=True)
class Pressed:
    digit: str


@dataclass(slots=True)
class Held:
    """The key has been down for `ms`; `up` when it no longer is."""

    digit: str
    ms: int
    up: bool = False


Part: TypeAlias = "Pcm | Pressed | Held"


class Listener:
    """A stream of samples, and the keys that are pressed in it."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._size = rate // BLOCK
        self._rest: Pcm = array("h")
        self._held: list[Pcm] = []  # the newest blocks
        self._last, self._agreed = "", 0  # what the looks before saw, and how many of them
        self._digit = ""  # the key that is down
        self._ms = 0
        self._missed = False

    def hear(self, pcm: Pcm) -> list[Part]:
        """What goes on: samples that are no tone, and keys."""
        parts: list[Part] = []
        self._rest.extend(pcm)
        while len(self._rest) >= self._size:
            block = self._rest[: self._size]
            del self._rest[: self._size]
            parts += self._look(block)
        return parts

    def flush(self) -> list[Part]:
        """The stream breaks off here: what was held back, and the key comes up."""
        parts: list[Part] = [Held(self._digit, self._ms, up=True)] if self._digit else [*self._held, self._rest]
        self._rest, self._held = array("h"), []
        self._last = self._digit = ""
        return parts

    def _look(self, block: Pcm) -> list[Part]:
        seen = digit_in(self._held[-1] + block, self._rate) if self._held else ""
        self._agreed = self._agreed + 1 if seen == self._last else 1
        self._last = seen
        self._held.append(block)
        if self._digit:
            return self._while_down(seen)
        if seen and self._agreed == LOOKS:
            self._digit, self._ms, self._missed = seen, 10 * len(self._held), False
            del self._held[:-1]
            return [Pressed(seen), Held(seen, self._ms)]
        return [self._held.pop(0)] if len(self._held) > LOOKS else []

    def _while_down(self, seen: str) -> list[Part]:
        del self._held[:-1]
        self._ms += 10
        if seen == self._digit:
            self._missed = False
            return [Held(self._digit, self._ms)]
        if not self._missed:  # one look may fail
            self._missed = True
            return []
        digit, self._digit = self._digit, ""
        self._held.clear()
        return [Held(digit, self._ms - 20, up=True)]


class Generator:
    """The two tones of a digit, phase going on from piece to piece."""

    def __init__(self, digit: str, volume: int, rate: int) -> None:
        row = next(place for place, keys in enumerate(KEYS) if digit in keys)
        self._steps = [2 * math.pi * tone / rate for tone in (LOW[row], HIGH[KEYS[row].index(digit)])]
        level = min(max(volume, LOUDEST), FAINTEST)
        self._peak = FULL_SCALE * 10 ** ((-level - 3.17 - 3.01) / 20)  # each tone has half the power
        self.made = 0  # samples

    def make(self, samples: int) -> Pcm:
        start, self.made = self.made, self.made + samples
        low, high = self._steps
        sine, peak = math.sin, self._peak
        return array("h", [int(peak * (sine(low * n) + sine(high * n))) for n in range(start, start + samples)])
