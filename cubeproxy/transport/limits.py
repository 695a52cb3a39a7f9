"""What one peer may cost us: sizes, times and rates, as values.

A limit that is reached never blocks the loop and never grows a queue: the peer is slowed down, refused or closed,
and the operator is told once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Limits:
    """Limits of a transport, or of one listener. Times in seconds, sizes in octets, rates per second.

    The defaults suit a listener on the Internet behind which thousands of phones may share one NAT address.
    """

    # The gate: before a connection is anybody's.
    half_open_total: int = 8192  # accepted, and not yet established
    half_open_per_address: int = 1024
    handshakes_total: int = 512  # connections that hold a TLS object while they shake hands
    handshakes_per_address: int = 64
    established_total: int = 50_000
    established_per_address: int = 10_000
    first_octet: float = 5.0  # from accept to the first octet (TLS: to a whole first record)
    handshake: float = 10.0  # from the first record to the end of the handshake
    handshake_octets: int = 65_536  # input before the handshake is over; a 20-deep certificate chain ends here
    refusals_burst: int = 100  # failed handshakes that an address may produce at once, and each second:
    refusals_per_second: float = 5.0

    # An established connection.
    message_head: int = 16_384
    message_body: int = 65_536
    message_time: float = 30.0  # for a message to become whole once its first octet came
    idle: float = 3900.0  # longer than the longest registration (3600 s) that we grant
    messages_per_second: float = 500.0  # accepted connections only; 0 is no limit
    messages_burst: int = 1000
    octets_per_second: float = 2_000_000.0
    octets_burst: int = 8_000_000
    post_handshake_burst: int = 32  # TLS key updates, tickets and refused renegotiations, and each second:
    post_handshake_per_second: float = 1.0
    write_buffer: int = 262_144  # unsent octets; then the peer does not read, and is closed
    linger: float = 2.0  # for a last answer or alert to be read before the connection is cut

    # What we open ourselves.
    connect: float = 5.0
    connect_queue: int = 262_144  # octets that wait for a connection

    # UDP.
    udp_flows: int = 16_384  # remote addresses remembered
    udp_batch: int = 64  # datagrams read in one go before others have their turn


class Bucket:
    """A token bucket that may go into debt: `take` never refuses, it says how long to wait (s) before the next one.

    Debt fits streams, where what has been read must be dealt with and only further reading can be put off.
    """

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate  # tokens per second, 0 is no limit
        self.burst = burst
        self.level = burst
        self.at = now

    def take(self, tokens: float, now: float) -> float:
        """Spend tokens; the answer is 0.0, or the seconds until the debt is paid."""
        if not self.rate:
            return 0.0
        level = min(self.burst, self.level + (now - self.at) * self.rate) - tokens
        self.level = level
        self.at = now
        return 0.0 if level >= 0 else -level / self.rate

    def full(self, now: float) -> bool:
        """True when nothing has been spent lately, so that the bucket need not be kept."""
        return self.level + (now - self.at) * self.rate >= self.burst

    def empty(self, now: float) -> bool:
        """True when not one token is left."""
        return bool(self.rate) and self.level + (now - self.at) * self.rate < 1
