"""Comfort noise: RFC 3389's payload type 13, and the silence descriptors of codecs that have their own."""

from __future__ import annotations

import math
import secrets
from array import array
from operator import mul

from cubeproxy.media.codecs.base import Pcm
from cubeproxy.protocols.values import Codec

NOISY = 80  # samples that a G.729 silence descriptor becomes
QUIETEST = 127


def descriptor(codec: Codec, payload: bytes) -> bool:
    """Whether a payload ends with a silence descriptor (G.729 annex B: two octets behind the frames)."""
    return codec.name == "g729" and len(payload) % 10 == 2


class Noise:
    """White noise from one second of it, made once."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._place = 0
        self._white: Pcm = array("h")

    def make(self, level: int, samples: int) -> Pcm:
        """`level` in -dBov (RFC 3389 3)."""
        if not self._white:
            self._white = array("h", secrets.token_bytes(2 * self._rate))
        gain = math.sqrt(3) * 10 ** (-level / 20)  # evenly spread samples have 1/sqrt(3) of the full scale
        start = self._place = (self._place + 1777) % (self._rate - samples)
        return array("h", [max(-32768, min(32767, int(x * gain))) for x in self._white[start : start + samples]])

    @staticmethod
    def level(pcm: Pcm) -> int:
        """Of samples, in -dBov."""
        power = sum(map(mul, pcm, pcm)) / max(len(pcm), 1)
        return min(QUIETEST, round(-10 * math.log10(power / 32768**2))) if power else QUIETEST
