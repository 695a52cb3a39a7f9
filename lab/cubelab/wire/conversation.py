"""One TCP connection as segments: what a tap gets from a wire that forwards octets and never saw a packet.

Sans-IO. Every piece that was forwarded becomes a segment, in the order of forwarding, and each acknowledges all that
the other side has said before; the handshake and the closing stand around them.
"""

from __future__ import annotations

from collections.abc import Callable

from cubelab.wire.tap import Segment
from cubeproxy.protocols.values import Address

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
LARGEST = 65_000  # octets of a segment: it fits into an IPv4 packet
FIRST = 1_000_000  # initial sequence number of either side


class Conversation:
    """`client` has opened it. `tell` gets the segments; `clock` is seconds since the epoch."""

    def __init__(
        self, client: Address, server: Address, tell: Callable[[Segment], None], clock: Callable[[], float]
    ) -> None:
        self._ends = (client, server)
        self._next = [FIRST, FIRST]  # sequence number that each side says next
        self._finished = [False, False]
        self._tell = tell
        self._clock = clock
        self._say(0, SYN, acknowledge=False)
        self._say(1, SYN | ACK)
        self._say(0, ACK)

    def said(self, data: bytes, *, by_client: bool) -> None:
        """These octets went from one side to the other."""
        for start in range(0, len(data), LARGEST):
            self._say(0 if by_client else 1, PSH | ACK, data[start : start + LARGEST])

    def closed(self, *, by_client: bool) -> None:
        """One side has said all; twice is once."""
        side = 0 if by_client else 1
        if not self._finished[side]:
            self._finished[side] = True
            self._say(side, FIN | ACK)
            self._say(1 - side, ACK)

    def _say(self, side: int, flags: int, data: bytes = b"", *, acknowledge: bool = True) -> None:
        acknowledges = self._next[1 - side] if acknowledge else 0
        source, destination = self._ends[side], self._ends[1 - side]
        self._tell(Segment(self._clock(), source, destination, self._next[side], acknowledges, flags, data))
        octets = len(data) + bool(flags & (SYN | FIN))
        self._next[side] = (self._next[side] + octets) % 2**32
