"""Samples in the place of lost ones: the last pitch period again and again, fading out (after G.711 Appendix I).

For codecs that bring nothing of their own. It costs nothing until something is lost.
"""

from __future__ import annotations

from array import array
from operator import mul

from cubeproxy.media.codecs.base import Pcm

HISTORY = 0.05  # s of what was heard that are kept
LOWEST, HIGHEST = 66, 400  # Hz of the pitch that is looked for
FULL = 0.010  # s of concealment at full level
FADE = 0.050  # s until it is silent; a longer gap is no speech any more


class Concealment:
    """`heard` every decoded packet; `fill` when packets are missing."""

    __slots__ = ("_filled", "_history", "_period", "_rate", "_tail")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._history: Pcm = array("h")
        self._period: Pcm = array("h")
        self._filled = 0  # samples since the last that was heard
        self._tail = 0

    def heard(self, pcm: Pcm) -> None:
        keep = int(self._rate * HISTORY)
        self._history = pcm[-keep:] if len(pcm) >= keep else (self._history + pcm)[-keep:]
        self._filled = 0

    def fill(self, samples: int) -> Pcm:
        if not self._filled:
            self._period, self._tail = self._find_period(), 0
        period, out = self._period, array("h")
        if not period:
            return array("h", bytes(2 * samples))
        while len(out) < samples:
            piece = period[self._tail : self._tail + samples - len(out)]
            self._tail = (self._tail + len(piece)) % len(period)
            out.extend(piece)
        return self._faded(out)

    def _find_period(self) -> Pcm:
        """The last pitch period: where the newest 10 ms look most like what was before them."""
        history, rate = self._history, self._rate
        window = rate // 100
        shortest, longest = rate // HIGHEST, rate // LOWEST
        if len(history) < window + longest:
            return history[:]
        end = len(history)
        newest = history[end - window :]
        step = max(1, rate // 8000)
        best = max(
            range(shortest, longest + 1, step),
            key=lambda lag: _likeness(newest, history[end - window - lag : end - lag]),
        )
        return history[end - best :]

    def _faded(self, pcm: Pcm) -> Pcm:
        full, fade = int(self._rate * FULL), int(self._rate * FADE)
        start, self._filled = self._filled, self._filled + len(pcm)
        if self._filled <= full:
            return pcm
        span = fade - full
        return array(
            "h",
            (
                sample if place < full else sample * max(fade - place, 0) // span
                for place, sample in enumerate(pcm, start)
            ),
        )


def _likeness(first: Pcm, second: Pcm) -> float:
    """Normalised correlation, with its sign."""
    energy = sum(map(mul, second, second))
    product = sum(map(mul, first, second))
    return product / energy**0.5 if energy else 0.0
