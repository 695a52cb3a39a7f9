"""Messages for one leg out of messages from the other: rebuilt, with the far face's addresses hidden."""

from __future__ import annotations

from dataclasses import dataclass

from cubeproxy.border.headers import CHALLENGES, CREDENTIALS, Faces, PassList
from cubeproxy.border.leg import Leg
from cubeproxy.border.plan import Peer
from cubeproxy.protocols.sip.message import Headers, Message, Request, Response, response_to
from cubeproxy.protocols.sip.uri import NameAddr
from cubeproxy.protocols.values import Path, Side

SDP = "application/sdp"
DIALOG_MAKING = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})


@dataclass(slots=True)
class Route:
    """One way to the called side: the dial peer, the path, and the URI to ask for."""

    peer: Peer
    path: Path
    uri: str
    host: str  # host of To: the node, or the phone's address of record as it knows it
    number: str
    device: str = ""


def description_of(message: Message) -> bytes:
    """The session description that a message carries, b"" when none."""
    return message.body if message.body and message.content_type == SDP else b""


def hops_left(request: Request) -> int:
    """Max-Forwards less one; a message without it starts at 70 (RFC 3261 16.6), and so does ours for a BYE with 0."""
    return request.max_forwards - 1 if request.max_forwards else 70


def faces(source: Leg, target: Leg) -> Faces:
    """What `target`'s peer is told in the place of addresses on `source`'s side."""
    return Faces({source.host: target.remote_host, source.remote_host: target.host}, source.peer.face, target.host)


def pass_list(target: Leg, message: Message) -> PassList:
    """Credentials pass from a phone to the core, challenges from the core to the phone, never the other way."""
    inwards = target.side is Side.CORE
    if isinstance(message, Request):
        return PassList(target.peer, CREDENTIALS if inwards else ())
    return PassList(target.peer, () if inwards else CHALLENGES)


def build_request(
    request: Request, caller: Leg, called: Leg, route: Route, call_id: str, tag: str, body: bytes
) -> Request:
    """A request outside a dialog, an INVITE mostly, for the called leg."""
    headers = Headers()
    headers.add("Max-Forwards", str(hops_left(request)))
    headers.add("From", f"{_named(request.from_, called.host)};tag={tag}")
    headers.add("To", f"<sip:{_at(route.number)}{route.host}>")
    headers.add("Call-ID", call_id)
    headers.add("CSeq", f"101 {request.method}")
    headers.add("Contact", called.contact + _contact_parameters(request))
    built = Request(request.method, route.uri, headers, body)
    pass_list(called, request).carry(request.headers, built.headers, faces(caller, called))
    if called.peer.negotiate_cisco and "X-cisco-srtp-fallback" not in headers.all("Supported"):
        headers.add("Supported", "X-cisco-srtp-fallback")
    _strip_type(built, body)
    return built


def build_response(
    response: Response, request: Request, source: Leg, target: Leg, to_tag: str, body: bytes
) -> Response:
    """The answer for `target`'s peer to its `request`, out of what `source`'s peer answered."""
    answer = response_to(request, response.status, response.reason, to_tag=to_tag)
    if 100 < response.status < 300 and request.method in DIALOG_MAKING:
        for row in request.headers.rows("Record-Route"):  # RFC 3261 12.1.1: or the peer leaves out its own proxies
            answer.headers.add("Record-Route", row)
    pass_list(target, response).carry(response.headers, answer.headers, faces(source, target))
    if response.status >= 300:  # where to try instead: a user behind us, never an address of the other face
        for contact in response.headers.all("Contact"):
            answer.headers.add("Contact", faces(source, target).hide(contact, whole=True))
    elif request.method in DIALOG_MAKING:
        answer.headers.add("Contact", target.contact + _contact_parameters(response))
    answer.body = body
    _strip_type(answer, body)
    return answer


def copy_into(request: Request, outgoing: Request, source: Leg, target: Leg, body: bytes) -> Request:
    """Fill an in-dialog request of ours with what passes of theirs."""
    outgoing.body = body
    pass_list(target, request).carry(request.headers, outgoing.headers, faces(source, target))
    outgoing.headers.set("Max-Forwards", str(hops_left(request)))
    _strip_type(outgoing, body)
    return outgoing


def _strip_type(message: Message, body: bytes) -> None:
    """A message that lost its body loses what described it."""
    if not body:
        for name in ("Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-ID"):
            message.headers.remove(name)


def _named(address: NameAddr, host: str) -> str:
    """Display name and user of a caller at our address (the vendor replaces the host by its own)."""
    display = f'"{_escaped(address.display)}" ' if address.display else ""
    return f"{display}<sip:{_at(address.uri.user)}{host}>"


def _escaped(display: str) -> str:
    return display.strip('"').replace("\\", "\\\\").replace('"', '\\"')


def _at(user: str | None) -> str:
    return f"{user}@" if user else ""


def _contact_parameters(message: Message) -> str:
    """Parameters of the other leg's Contact, which features of Cisco phones hang on (devicename, instance)."""
    contacts = message.contacts
    if not contacts:
        return ""
    kept = ((name, value) for name, value in contacts[0].params.items() if name.lower() not in ("expires", "q"))
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in kept)
