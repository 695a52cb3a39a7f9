"""What a tap on the wire holds: the datagrams that were forwarded, as they left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cubeproxy.protocols.values import Address


@dataclass(slots=True)
class Datagram:
    """One forwarded UDP datagram. `time` is seconds since the epoch; `source` is the wire's own address."""

    time: float
    source: Address
    destination: Address
    data: bytes


Tap = Callable[[Datagram], None]
