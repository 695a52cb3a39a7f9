"""Small messages and paths for the tests of the machines."""

from __future__ import annotations

from cubeproxy.protocols.sip.message import Request, Response, parse_message, response_to
from cubeproxy.protocols.values import Flow, Target, Transport

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS

HERE = ("127.0.0.1", 5060)
THERE = ("127.0.0.2", 5062)


def flow(transport: Transport = UDP, remote: tuple[str, int] = THERE) -> Flow:
    return Flow(1, transport, HERE, remote)


def target(transport: Transport = UDP) -> Target:
    return Target(transport, *THERE, local=HERE)


def request(
    method: str = "INVITE",
    *,
    branch: str = "z9hG4bKone",
    cseq: int = 1,
    via: str | None = None,
    uri: str = "sip:2002@127.0.0.1",
    from_tag: str = "their-tag",
    to_tag: str | None = None,
    call_id: str = "call-1",
    rows: tuple[str, ...] = ("Contact: <sip:1001@127.0.0.2:5062>",),
    body: str = "",
) -> Request:
    """A request as a phone at THERE sends it."""
    lines = (
        f"{method} {uri} SIP/2.0",
        f"Via: {via or f'SIP/2.0/UDP 127.0.0.2:5062;branch={branch}'}",
        "Max-Forwards: 70",
        f"From: <sip:1001@127.0.0.2>;tag={from_tag}",
        f"To: <sip:2002@127.0.0.1>{f';tag={to_tag}' if to_tag else ''}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *rows,
        f"Content-Length: {len(body)}",
        "",
        body,
    )
    message = parse_message("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return message


def answer(
    to: Request, status: int, *, to_tag: str | None = "our-tag", contact: str | None = None, rows: tuple[str, ...] = ()
) -> Response:
    """A response, read from the octets that a peer would send."""
    response = response_to(to, status, to_tag=to_tag if status > 100 else None)
    for row in (*rows, *([f"Contact: {contact}"] if contact else [])):
        name, _, value = row.partition(": ")
        response.headers.add(name, value)
    message = parse_message(response.serialise())
    assert isinstance(message, Response)
    return message
