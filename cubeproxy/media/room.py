"""How many calls fit: what descriptors and ports allow, worked out before the first one comes. Sans-IO."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

SOCKETS = 4  # a call holds: RTP and RTCP of two legs
RESERVE = 32  # descriptors that a worker needs for itself


@dataclass(slots=True, frozen=True)
class Room:
    """`by_workers` and `by_ports` are calls; `text` is for the operator."""

    by_workers: int
    by_ports: int
    text: str

    @property
    def calls(self) -> int:
        return min(self.by_workers, self.by_ports)


def slots(descriptors: int | None, most: int) -> int:
    """Calls that one worker takes, of at most `most`; `descriptors` None is no limit."""
    return most if descriptors is None else min(most, max(1, (descriptors - RESERVE) // SOCKETS))


def room(workers: int, each: int, pairs: int, access: Collection[str], core: Collection[str]) -> Room:
    """Room in `workers` of `each` calls, with `pairs` of ports on every media address of either side.

    A call takes a pair on one address of each side. An address that serves both gives each call two.
    """
    hosts = set(access) | set(core)
    by_ports = min(pairs * len(set(access)), pairs * len(set(core)), pairs * len(hosts) // 2)
    text = (
        f"room for {min(workers * each, by_ports)} calls: "
        f"{each} in each of {workers} worker process{'es' if workers != 1 else ''}, "
        f"{pairs} port pairs on each of {len(hosts)} media addresses for {by_ports}"
    )
    return Room(workers * each, by_ports, text)
