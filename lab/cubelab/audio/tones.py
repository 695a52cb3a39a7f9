"""Tones, and how to tell that one was heard.

Samples are signed 16-bit mono at 8000 Hz throughout the lab (G.711's own rate). A tone is judged frame by
frame, never over a whole recording: a few clean seconds must not hide a one-way second (or the other way round).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RATE = 8000  # samples a second
FRAME = 800  # samples, 100 ms

# Frequencies the lab speaks with. Each is heard well inside the telephone band, none is a harmonic of another,
# and each is at least one Goertzel bin (10 Hz for 100 ms) away from its neighbours' bins.
PALETTE = (440, 620, 770, 1000, 1250, 1480, 1730, 2030)  # Hz

SHARE_NEEDED = 0.5  # of a frame's energy at the tone; G.711 leaves about 0.999 of a clean one, noise about 0.003
HITS_NEEDED = 0.8  # of the frames
SILENCE = 100.0  # mean square below which a frame has no energy to be judged (about -70 dBov)


def tone(frequency: int, seconds: float, amplitude: int = 12000) -> array[int]:
    """A sine of `frequency` Hz; `amplitude` is the peak, of 32767."""
    step = 2 * math.pi * frequency / RATE
    return array("h", (round(amplitude * math.sin(step * n)) for n in range(round(seconds * RATE))))


def goertzel(samples: Sequence[int], frequency: float) -> float:
    """Squared magnitude of the Fourier sum of `samples` at `frequency` Hz (Goertzel's recurrence)."""
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    return last * last + before * before - coefficient * last * before


def share(frame: Sequence[int], frequency: float) -> float:
    """How much of a frame's energy is a sine of `frequency`: 1 is all of it, silence gives 0."""
    energy = float(sum(sample * sample for sample in frame))
    if not frame or energy / len(frame) < SILENCE:
        return 0.0
    return 2 * goertzel(frame, frequency) / (len(frame) * energy)


@dataclass(slots=True, frozen=True)
class Hearing:
    """What a listener made of a recording: in how many of its 100 ms frames the tone was dominant."""

    frequency: int  # Hz
    frames: int
    hits: int
    share: float  # mean share of the energy, 0..1

    @property
    def heard(self) -> bool:
        """True when the tone dominates most frames of at least half a second."""
        return self.frames >= 5 and self.hits >= HITS_NEEDED * self.frames

    def __str__(self) -> str:
        return f"{self.frequency} Hz in {self.hits} of {self.frames} frames ({self.share:.1%} of the energy)"


def listen(samples: Sequence[int], frequency: int, skip: float = 0.0) -> Hearing:
    """Judge whether `samples` hold the tone, from `skip` seconds on. A last partial frame is left out."""
    first = round(skip * RATE)
    shares = [share(samples[at : at + FRAME], frequency) for at in range(first, len(samples) - FRAME + 1, FRAME)]
    hits = sum(value >= SHARE_NEEDED for value in shares)
    return Hearing(frequency, len(shares), hits, sum(shares) / len(shares) if shares else 0.0)


def strongest(samples: Sequence[int], candidates: Iterable[int] = PALETTE, skip: float = 0.0) -> Hearing:
    """The candidate that fills most frames of the recording; ties go to the larger share of the energy."""
    return max((listen(samples, candidate, skip) for candidate in candidates), key=lambda one: (one.hits, one.share))
