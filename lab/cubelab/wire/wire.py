"""A UDP forwarder between media endpoints: the only place in the lab where a tap can sit.

A link owns one UDP port of the wire. What its inner end (say a phone) sends there leaves for the outer end, and
whatever anybody else sends there leaves for the inner end, both from that one port. An endpoint that advertises its
link's address in SDP therefore sends and receives on the address that it signalled, as clear legs demand, while every
datagram passes the wire.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from cubelab.wire.impairment import Impairment, Weather
from cubelab.wire.tap import Datagram, Tap
from cubeproxy.protocols.values import Address

FIRST_PORT, LAST_PORT = 30000, 39998  # even ports of a link; a link's RTCP port is the next one


@dataclass(slots=True)
class WireCounters:
    forwarded: int = 0
    lost: int = 0  # by impairment
    homeless: int = 0  # arrived before the far end was known


class Link(asyncio.DatagramProtocol):
    """One port of the wire with the two ends that it joins; either may become known later."""

    def __init__(self, wire: Wire, inner: Address | None, outer: Address | None, name: str) -> None:
        self.inner = inner
        self.outer = outer
        self.address: Address = ("", 0)
        self._wire = wire
        self._outward = Weather(wire.impairment, f"{name}>")
        self._inward = Weather(wire.impairment, f"{name}<")
        self._transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.address = cast(Address, transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        outward = addr[:2] == self.inner
        destination = self.outer if outward else self.inner
        if destination is None:
            self._wire.counters.homeless += 1
            return
        if self._wire.impairment.clean:
            self._forward(data, destination)
            return
        now = self._loop.time()
        departures = (self._outward if outward else self._inward).decide(data, now)
        self._wire.counters.lost += not departures
        for due, changed in departures:
            if due <= now:
                self._forward(changed, destination)
            else:
                self._loop.call_at(due, self._forward, changed, destination)

    def error_received(self, exc: Exception) -> None:
        """A closed far port (ICMP) is the far end's business: a wire forwards or it does not."""

    def _forward(self, data: bytes, destination: Address) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.sendto(data, destination)
        self._wire.record(self.address, destination, data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Wire:
    """All links of one side of the network, with one impairment and any number of taps."""

    def __init__(
        self,
        host: str,
        impairment: Impairment = Impairment(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host = host
        self.impairment = impairment
        self.counters = WireCounters()
        self.taps: list[Tap] = []
        self._clock = clock
        self._links: list[Link] = []
        self._next = FIRST_PORT

    async def link(self, inner: Address | None = None, outer: Address | None = None, port: int = 0) -> Link:
        """Open a link on `port`, or on the next even port that is free. OSError when there is none."""
        link = Link(self, inner, outer, name=str(len(self._links)))
        loop = asyncio.get_running_loop()
        for candidate in [port] if port else self._candidates():
            try:
                await loop.create_datagram_endpoint(lambda: link, local_addr=(self.host, candidate))
            except OSError:
                if port:
                    raise
                continue
            self._links.append(link)
            return link
        raise OSError(f"wire {self.host}: no free port")

    def _candidates(self) -> list[int]:
        """Even ports from where the last link stopped, once around."""
        start = self._next
        self._next = start + 2 if start < LAST_PORT else FIRST_PORT
        return [*range(start, LAST_PORT + 1, 2), *range(FIRST_PORT, start, 2)]

    def record(self, source: Address, destination: Address, data: bytes) -> None:
        self.counters.forwarded += 1
        if self.taps:
            datagram = Datagram(self._clock(), source, destination, data)
            for tap in self.taps:
                tap(datagram)

    def close(self) -> None:
        for link in self._links:
            link.close()
        self._links.clear()
