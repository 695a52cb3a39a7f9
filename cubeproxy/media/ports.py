"""Port pairs for media: an even port for RTP, the next one for RTCP (RFC 3550 11).

A pair that a call gave back rests before it is handed out again, so that late packets of the old
call never reach the new one. The pool knows numbers only; `server` binds them and says when a pair
turned out to be taken by somebody else.
"""

from __future__ import annotations

from collections import deque


class PortPool:
    """Pairs of `first`..`last` for any number of local addresses. `rest` is in seconds."""

    def __init__(self, first: int, last: int, rest: float = 10.0) -> None:
        self.first = first + (first & 1)
        self.last = last
        self.rest = rest
        self._untouched: dict[str, int] = {}  # address -> next port that was never handed out
        self._resting: dict[str, deque[tuple[float, int]]] = {}  # (end of rest, port), in order of time

    @property
    def pairs(self) -> int:
        """How many pairs one address has."""
        return max(0, (self.last - self.first + 1) // 2)

    def take(self, address: str, now: float) -> int | None:
        """The RTP port of a pair on `address`; None when every pair is in use or rests."""
        port = self._untouched.get(address, self.first)
        if port < self.last:
            self._untouched[address] = port + 2
            return port
        resting = self._resting.get(address)
        if resting and resting[0][0] <= now:
            return resting.popleft()[1]
        return None

    def give(self, address: str, port: int, now: float) -> None:
        """Take a pair back; it is handed out again after its rest."""
        self._resting.setdefault(address, deque()).append((now + self.rest, port))
