"""Is a message fit to be processed (RFC 3261 8.1.1, 8.2, 16.3; the cases of RFC 4475)?

Left to the caller, as it depends on what the element is: 416 for a URI scheme, 405 and 501 for a method, 415, 420,
483 for Max-Forwards 0, and every question of dialogs. A message without Max-Forwards, From tag or magic cookie
comes from an RFC 2543 element and is let through.
"""

from __future__ import annotations

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.grammar import is_token, split_list
from cubeproxy.protocols.sip.model import VERSION, Message, Request, Response
from cubeproxy.protocols.sip.names import LONG
from cubeproxy.protocols.sip.uri import NameAddr, Uri, Via

_ONCE = frozenset({"from", "to", "call-id", "cseq"})
_AT_MOST_ONCE = ("max-forwards", "content-type", "expires")
_ROUTES = ("route", "record-route")


def validate_request(request: Request) -> None:
    """Raises `RemoteProtocolError` with the status to answer."""
    if request.version.upper() != VERSION:
        raise RemoteProtocolError(f"version {request.version}", 505)
    if Uri.parse(request.uri).headers:
        raise RemoteProtocolError("headers in a Request-URI")  # RFC 3261 19.1.1, table 1; RFC 4475 3.1.2.11
    _validate_rows(request)
    cseq = request.cseq
    if cseq.method != request.method:
        raise RemoteProtocolError(f"CSeq names {cseq.method}, the request line {request.method}")
    _ = request.max_forwards


def validate_response(response: Response) -> None:
    """Raises `RemoteProtocolError`: a response that fails is dropped, there is nobody to answer."""
    if response.version.upper() != VERSION:
        raise RemoteProtocolError(f"version {response.version}")
    _validate_rows(response)


def _validate_rows(message: Message) -> None:
    keys = message.headers.keys()
    found = set(keys)
    if len(found) < len(keys) or not found >= _ONCE:
        _validate_numbers(message)
    for value in (message.from_, message.to):
        if "tag" in value.params and not is_token(value.params["tag"] or ""):
            raise RemoteProtocolError("a tag that is no token")
    _ = message.call_id, message.cseq, message.contacts
    _validate_vias(message)
    for key in _ROUTES:
        if key in found:
            for text in message.headers.all(key):
                NameAddr.parse(text)


def _validate_numbers(message: Message) -> None:
    count = message.headers.count
    for key in sorted(_ONCE):
        rows = count(key)
        if rows != 1:
            raise RemoteProtocolError(f"{LONG[key]} is missing" if not rows else f"more than one {LONG[key]}")
    for key in _AT_MOST_ONCE:
        if count(key) > 1:
            raise RemoteProtocolError(f"more than one {LONG[key]}")


def _validate_vias(message: Message) -> None:
    _ = message.via
    headers = message.headers
    if headers.count("via") == 1 and "," not in (headers.first_row("via") or ""):
        return
    for row in headers.rows("via"):
        for text in split_list(row):
            Via.parse(text)
