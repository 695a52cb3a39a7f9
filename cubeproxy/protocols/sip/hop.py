"""What belongs to one hop: the Via that we add, the source that we note, the way back, and the two requests that
travel inside another's transaction (the ACK for a 3xx-6xx, and CANCEL).

`maddr` of a request is not obeyed (RFC 3261 18.2.2 would send the response there): it would let a stranger aim our
responses at a third party, and no phone or cluster uses it.
"""

from __future__ import annotations

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.sip.message import Headers, Request, Response
from cubeproxy.protocols.sip.uri import Via, unbracket
from cubeproxy.protocols.values import Flow, Path, Target, Transport


def add_via(request: Request, path: Path, branch: str) -> None:
    """Make ours the only Via (RFC 3261 8.1.1.7), asking for the source port back (RFC 3581 3)."""
    headers = request.headers
    if "Via" in headers:  # the same request, sent a second time
        headers.remove("Via")
    headers.prepend("Via", f"SIP/2.0/{path.transport.value} {format_address(path.local)};branch={branch};rport")


def note_source(request: Request, flow: Flow) -> None:
    """Write into the topmost Via where the request really came from (RFC 3261 18.2.1, RFC 3581 4).

    A `received` that the sender wrote itself is overwritten: responses follow it.
    """
    via = request.via
    host, port = flow.remote
    params = dict(via.params)
    if "rport" in params:
        params["rport"] = str(port)
    elif unbracket(via.host) == host and "received" not in params:
        return
    params["received"] = host
    noted = Via(via.transport, via.host, via.port, params, via.protocol)
    request.headers.set("Via", [str(noted), *request.headers.all("Via")[1:]])


def way_back(request: Request, flow: Flow) -> tuple[Path, Target]:
    """Where responses go, and where instead once the connection is closed (RFC 3261 18.2.2, RFC 3581 4)."""
    via = request.via
    host, port = flow.remote
    fallback = Target(flow.transport, host, via.port or default_port(flow.transport), flow.local)
    if flow.transport.reliable or "rport" in via.params or fallback.port == port:
        return flow, fallback
    return fallback, fallback


def default_port(transport: Transport) -> int:
    """RFC 3261 19.1.2."""
    return 5061 if transport is Transport.TLS else 5060


def ack_for(invite: Request, response: Response) -> Request:
    """The ACK for a 3xx-6xx (RFC 3261 17.1.1.3): the INVITE's, with the To of the response."""
    return Request("ACK", invite.uri, _inside(invite, "ACK", response.headers.get("To") or ""))


def cancel_for(invite: Request, reason: str | None = None) -> Request:
    """The CANCEL of an INVITE that was sent (RFC 3261 9.1). `reason` is a Reason header (RFC 3326)."""
    headers = _inside(invite, "CANCEL", invite.headers.get("To") or "")
    if reason is not None:
        headers.add("Reason", reason)
    return Request("CANCEL", invite.uri, headers)


def _inside(invite: Request, method: str, to: str) -> Headers:
    """What an ACK and a CANCEL share with their INVITE: the branch too."""
    theirs = invite.headers
    headers = Headers()
    headers.add("Via", theirs.get("Via") or "")
    headers.add("Max-Forwards", "70")
    for row in theirs.rows("Route"):
        headers.add("Route", row)
    headers.add("From", theirs.get("From") or "")
    headers.add("To", to)
    headers.add("Call-ID", theirs.get("Call-ID") or "")
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return headers
