"""Requests that open something: what every one of them needs (RFC 3261 8.1.1), without a Via."""

from __future__ import annotations

from cubeproxy.protocols.sip.message import Headers, Request
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.values import Address, Transport

DEFAULT_PORT = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}


def new_request(
    method: str,
    uri: str,
    from_: str,
    to: str,
    tokens: Tokens,
    *,
    call_id: str = "",
    sequence: int = 101,
    from_tag: str = "",
) -> Request:
    """`from_` and `to` are name-addr text without tags. The first CSeq is Cisco's 101."""
    headers = Headers()
    headers.add("Max-Forwards", "70")
    headers.add("From", f"{from_};tag={from_tag or tokens.tag()}")
    headers.add("To", to)
    headers.add("Call-ID", call_id or tokens.call_id())
    headers.add("CSeq", f"{sequence} {method}")
    return Request(method, uri, headers)


def contact(user: str, address: Address, transport: Transport, parameters: str = "") -> str:
    """Contact text with the transport in lower case, as Cisco's phones have it."""
    return f"<sip:{user}@{address[0]}:{address[1]};transport={transport.value.lower()}>{parameters}"


def again(request: Request, sequence: int) -> Request:
    """The same request for another transaction: a new CSeq, no Via."""
    headers = request.headers.copy()
    headers.remove("Via")
    headers.set("CSeq", f"{sequence} {request.method}")
    return Request(request.method, request.uri, headers, request.body)
