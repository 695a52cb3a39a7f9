"""Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3), and which 2xx an ACK is for.

Keys are plain tuples, compared in one dictionary look-up.
"""

from __future__ import annotations

from cubeproxy.protocols.sip.effects import ClientKey, ServerKey
from cubeproxy.protocols.sip.message import Message, Request, Response
from cubeproxy.protocols.sip.tokens import MAGIC_COOKIE

AckKey = tuple[str, str, str, int]  # Call-ID, From tag, To tag, CSeq number
_OLD = ""  # first element of the key of a request without the magic cookie; no branch is empty


def server_key(request: Request, method: str) -> ServerKey:
    """The key of `request` as if its method were `method`: an ACK or CANCEL finds its INVITE so.

    Branch and sent-by where the branch has the magic cookie and more than that; otherwise RFC 2543's fields. There the
    To tag counts only for what has one from the start: an ACK brings the tag of our response (see `answers`).
    """
    via = request.via
    branch = via.branch
    if branch is not None and branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return (branch, via.host.lower(), via.port or 0, method)
    to_tag = "" if method == "INVITE" or request.method == "CANCEL" else request.to_tag or ""
    return (
        _OLD,
        request.uri,
        request.call_id,
        request.from_tag or "",
        request.cseq.number,
        request.headers.all("Via")[0],
        method,
        to_tag,
    )


def answers(key: ServerKey, ack: Request, to_tag: str | None) -> bool:
    """Whether the ACK found by `key` is for the response with this To tag. A branch with the cookie says it alone."""
    return key[0] != _OLD or (ack.to_tag or None) == to_tag


def client_key(response: Response) -> ClientKey:
    """Branch of the topmost Via and method of CSeq: a CANCEL shares the branch of its INVITE."""
    return (response.branch or "", response.cseq.method)


def ack_key(message: Message) -> AckKey:
    """The same for a 2xx that we send to an INVITE and for the ACK to it (RFC 3261 13.3.1.4)."""
    return (message.call_id, message.from_tag or "", message.to_tag or "", message.cseq.number)
