"""What a bad network does to a datagram, decided by a seed.

Sans-IO: `decide` says when and in which form a datagram leaves, nothing here waits. The same seed and the same
sequence of calls give the same decisions, so that a failure under loss can be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

REORDER_BY = 0.03  # s: what a reordered datagram waits extra, so that one 20 ms packet overtakes it


@dataclass(slots=True, frozen=True)
class Impairment:
    """Probabilities are 0..1 for one datagram, times are seconds. The default is a perfect wire."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # leaves later than its successors
    corrupt: float = 0.0  # one bit flipped
    delay: float = 0.0
    jitter: float = 0.0  # added to `delay`, uniform 0..jitter; never reorders by itself
    seed: int = 0

    @property
    def clean(self) -> bool:
        return not any((self.loss, self.duplicate, self.reorder, self.corrupt, self.delay, self.jitter))


class Weather:
    """The impairment of one direction of one link."""

    def __init__(self, impairment: Impairment, direction: str = "") -> None:
        self._is = impairment
        self._random = Random(f"{impairment.seed}/{direction}")
        self._last = 0.0

    def decide(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """When (on the clock of `now`) and as what the datagram leaves: nothing, one or two entries."""
        chance = self._random.random
        # Every draw is made every time: one probability changed must not shift all later decisions.
        lost, twice, late, damaged, wobble = chance(), chance(), chance(), chance(), chance()
        bit = self._random.randrange(8 * len(data)) if data else 0
        if lost < self._is.loss:
            return []
        if data and damaged < self._is.corrupt:
            data = _flip(data, bit)
        due = max(now + self._is.delay + wobble * self._is.jitter, self._last)
        if late < self._is.reorder:
            due += REORDER_BY
        else:
            self._last = due
        return [(due, data)] * (2 if twice < self._is.duplicate else 1)


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
