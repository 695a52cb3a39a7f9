"""SIP messages: the names that the rest of the program uses.

`parse_message` reads octets, `validate_request` says whether an element may process what was read, `response_to`
starts the answer, `serialise` writes.
"""

from __future__ import annotations

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.headers import Headers
from cubeproxy.protocols.sip.model import CSeq, MalformedMessage, Message, Request, Response
from cubeproxy.protocols.sip.names import key_of
from cubeproxy.protocols.sip.reader import MAX_BODY, MAX_HEAD, MAX_ROWS, parse_message
from cubeproxy.protocols.sip.validate import validate_request, validate_response

__all__ = [
    "MAX_BODY",
    "MAX_HEAD",
    "MAX_ROWS",
    "CSeq",
    "Headers",
    "MalformedMessage",
    "Message",
    "Request",
    "Response",
    "key_of",
    "parse_message",
    "response_to",
    "validate_request",
    "validate_response",
]


_COPIED = frozenset({"via", "from", "to", "call-id", "cseq"})
_COPIED_BY_100 = _COPIED | {"timestamp"}


def response_to(request: Request, status: int, reason: str | None = None, *, to_tag: str | None = None) -> Response:
    """The answer with what RFC 3261 8.2.6 copies: Via rows, From, To, Call-ID, CSeq, for a 100 also Timestamp.

    `to_tag` is added where To has none. What the request lacks or has twice is answered with what there is.
    """
    headers = Headers()
    headers.take(request.headers, _COPIED_BY_100 if status == 100 else _COPIED)
    if to_tag is not None and "to" in headers and _has_no_tag(request):
        headers.extend("to", f";tag={to_tag}")
    return Response(status, reason, headers)


def _has_no_tag(request: Request) -> bool:
    """Also true of a To that cannot be read: the answer says so, and needs a tag of its own."""
    try:
        return request.to_tag is None
    except RemoteProtocolError:
        return True
