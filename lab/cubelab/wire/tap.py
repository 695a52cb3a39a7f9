"""What a tap on the wire holds: the datagrams and the TCP segments that were forwarded, as they left."""

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


@dataclass(slots=True)
class Segment:
    """A TCP segment, made for what was forwarded. `time` is seconds since the epoch, numbers are modulo 2**32."""

    time: float
    source: Address
    destination: Address
    sequence: int
    acknowledges: int
    flags: int  # RFC 9293 3.1
    data: bytes = b""


SegmentTap = Callable[[Segment], None]
