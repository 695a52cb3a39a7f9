"""What a transport counts. Plain integers: a reader takes the difference of two readings."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.protocols.sip.message import Message, Request, Response

Kinds = dict[str | int, int]  # by method of requests and by status of responses
METHODS = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER"}
    | {"SUBSCRIBE", "UPDATE"}
)
OTHER = "other"  # whatever a peer may invent


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
    kinds_in: Kinds = field(default_factory=dict)
    kinds_out: Kinds = field(default_factory=dict)

    def came_in(self, message: Request | Response) -> None:
        self.messages_in += 1
        _count(self.kinds_in, message)

    def goes_out(self, message: Message | bytes) -> None:
        self.messages_out += 1
        _count(self.kinds_out, message)


def _count(kinds: Kinds, message: Message | bytes) -> None:
    """What is sent as octets is no message of ours to tell the kind of."""
    if isinstance(message, Request):
        method = message.method if message.method in METHODS else OTHER
        kinds[method] = kinds.get(method, 0) + 1
    elif isinstance(message, Response):
        kinds[message.status] = kinds.get(message.status, 0) + 1
