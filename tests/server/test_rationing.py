"""One phone may begin so many requests a second, and can always end what it began."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.sip.message import Request, parse_message
from cubeproxy.server.rationing import BURST, REMEMBERED, Rationing

RATE = 10.0


def request(method: str = "INVITE", tag: str = "") -> Request:
    message = parse_message(
        f"{method} sip:3001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:c@d>{tag}\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert isinstance(message, Request)
    return message


def allowed(rationing: Rationing, count: int, now: float, device: str = "SEP001122334455") -> int:
    return sum(rationing.allows(device, request(), now) for _ in range(count))


def test_a_burst_then_the_rate() -> None:
    rationing = Rationing(RATE)
    assert allowed(rationing, 1000, 0.0) == RATE * BURST
    assert allowed(rationing, 1000, 1.0) == RATE
    assert allowed(rationing, 1000, 1.05) == 0


def test_a_flood_digs_no_hole() -> None:
    """Who stops is served again at once: refused requests are not counted against a phone."""
    rationing = Rationing(RATE)
    allowed(rationing, 100_000, 0.0)
    assert allowed(rationing, 1, 0.1) == 1


def test_each_device_has_its_own() -> None:
    rationing = Rationing(RATE)
    allowed(rationing, 1000, 0.0)
    assert allowed(rationing, 1, 0.0, "SEP001122334466") == 1


@pytest.mark.parametrize("free", [request("BYE"), request("CANCEL"), request("ACK"), request("INFO", ";tag=2")])
def test_a_call_can_always_be_ended(free: Request) -> None:
    rationing = Rationing(RATE)
    allowed(rationing, 1000, 0.0)
    assert rationing.allows("SEP001122334455", free, 0.0)


def test_what_cannot_be_read_is_left_to_those_who_answer_it() -> None:
    rationing = Rationing(RATE)
    allowed(rationing, 1000, 0.0)
    assert rationing.allows("SEP001122334455", request(tag='>;"tag=<<'), 0.0)


def test_no_rate_is_no_limit() -> None:
    assert allowed(Rationing(0.0), 1000, 0.0) == 1000


def test_memory_is_bounded() -> None:
    rationing = Rationing(RATE)
    for number in range(REMEMBERED + 100):
        rationing.allows(f"SEP{number:012X}", request(), 0.0)
    assert len(rationing._buckets) == REMEMBERED
