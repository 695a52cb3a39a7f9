"""What goes out to addresses that have not answered yet, bounded for each network: the answer to forged requests.

A token bucket per network (/24, or /64 of IPv6). What is spent on an address comes back as soon as it proves to exist,
so phones behind one NAT do not hinder each other.
"""

from __future__ import annotations

import ipaddress

RATE = 100_000  # octets a second, and the most at once
MOST_NETWORKS = 4096


class Budget:
    def __init__(self, rate: int = RATE, most: int = MOST_NETWORKS) -> None:
        self.rate = rate
        self.most = most
        self._buckets: dict[str, tuple[float, float]] = {}  # network -> octets left, when

    def spend(self, host: str, octets: int, now: float) -> bool:
        """Whether `octets` may go to `host` now; they are taken if so."""
        network = network_of(host)
        left = self._left(network, now)
        if left < octets:
            return False
        self._put(network, left - octets, now)
        return True

    def refund(self, host: str, octets: int, now: float) -> None:
        """The address has proved itself."""
        network = network_of(host)
        if network in self._buckets:
            self._put(network, self._left(network, now) + octets, now)

    def _left(self, network: str, now: float) -> float:
        left, when = self._buckets.get(network, (float(self.rate), now))
        return min(float(self.rate), left + (now - when) * self.rate)

    def _put(self, network: str, left: float, now: float) -> None:
        """The networks that were used last are kept; a bucket that is full again need not be."""
        self._buckets.pop(network, None)
        if left < self.rate:
            self._buckets[network] = (left, now)
        while len(self._buckets) > self.most:
            del self._buckets[next(iter(self._buckets))]


def network_of(host: str) -> str:
    """What is forged together: the /24 or the /64. A host that is no address stands for itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))
