"""Packets in the order of their sequence numbers, waiting a little for one that was overtaken.

Small and bounded: a packet that is missing when DEPTH later ones have come is lost, and so is one that keeps them
waiting for PATIENCE. Nothing waits while nothing is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

DEPTH = 2  # packets that may wait
PATIENCE = 0.06  # s


@dataclass(slots=True)
class Packet:
    """`index` is the sequence number, counted on beyond 16 bits; `lost` how many before it never came."""

    index: int
    payload_type: int
    timestamp: int
    payload: bytes
    lost: int = 0


class Order:
    """One sender's packets. `take` and `timeout` give those whose turn it is."""

    __slots__ = ("_next", "_since", "_waiting")

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, Packet] = {}
        self._since = 0.0

    @property
    def deadline(self) -> float | None:
        return self._since + PATIENCE if self._waiting else None

    def take(self, packet: Packet, now: float) -> list[Packet]:
        if self._next is None:
            self._next = packet.index
        if packet.index < self._next:
            return []  # its place has been filled
        if packet.index == self._next and not self._waiting:
            self._next += 1
            return [packet]
        if not self._waiting:
            self._since = now
        self._waiting[packet.index] = packet
        ready = self._in_turn()
        if len(self._waiting) > DEPTH:
            ready += self._give_up()
        return ready

    def timeout(self, now: float) -> list[Packet]:
        ready: list[Packet] = []
        while self._waiting and now >= self._since + PATIENCE:
            ready += self._give_up()
        return ready

    def _in_turn(self) -> list[Packet]:
        ready = []
        assert self._next is not None
        while (packet := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            ready.append(packet)
        return ready

    def _give_up(self) -> list[Packet]:
        """Go on without what is missing before the first that waits."""
        assert self._next is not None
        first = min(self._waiting)
        self._waiting[first].lost = first - self._next
        self._next = first
        return self._in_turn()
