"""What a transport counts. Plain integers: a reader takes the difference of two readings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    accepted: int = 0  # connections accepted, whatever became of them
    gate_refused: int = 0
    silent_closed: int = 0  # half-open connections closed by a timer, or displaced
    accept_pauses: int = 0  # times that descriptors ran out
    handshakes: int = 0  # completed and judged
    handshakes_resumed: int = 0  # of these, by an earlier session
    handshakes_refused: int = 0
    connects: int = 0
    connects_failed: int = 0
    messages_in: int = 0
    messages_out: int = 0
    octets_in: int = 0  # SIP, after decryption
    octets_out: int = 0
    keepalives: int = 0  # CRLF pings answered
    malformed: int = 0
    throttled: int = 0  # times that reading was put off
    overflows: int = 0  # connections closed because the peer did not read
    untrusted: int = 0  # datagrams and connections discarded by the caller's rule
    udp_dropped: int = 0  # datagrams that the kernel would not take
    udp_failed: int = 0  # ICMP errors and send errors
    crashes: int = 0  # exceptions of a handler, each closed one peer
