"""One leg of a call: where it goes, as whom we speak on it, and the dialogs that it has.

A leg knows its own face only. What passes between two legs is the business of `call` and `passing`.
"""

from __future__ import annotations

from cubeproxy.border.plan import DEFAULT_PORT, Peer, Plan
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.sip.uri import Uri, unbracket
from cubeproxy.protocols.values import Flow, Path, Side, Target, Transport

DialogKey = tuple[str, str, str]  # Call-ID, local tag, remote tag


class Leg:
    """`index` 0 is the caller's leg, 1 the called one. `path` is the way that requests took so far."""

    __slots__ = (
        "ack", "contact", "device", "dialog", "forks", "id", "index", "invite", "number", "path", "peer", "servers",
    )  # fmt: skip

    def __init__(self, index: int, leg_id: int, peer: Peer, path: Path, number: str, device: str = "") -> None:
        self.index = index
        self.id = leg_id
        self.peer = peer
        self.path = path
        self.number = number
        self.device = device  # key of the phone's binding, "" on the core side
        self.dialog: Dialog | None = None
        self.forks: dict[str, Dialog] = {}  # early dialogs of an INVITE of ours, by remote tag
        self.invite: Request | None = None
        self.servers: dict[int, ServerKey] = {}  # their INVITEs without ACK, by CSeq number
        self.ack: Request | None = None  # our ACK to the last 2xx, for its retransmissions
        self.contact = contact_of(peer, number)

    @property
    def side(self) -> Side:
        return self.peer.side

    @property
    def host(self) -> str:
        """Our address on this leg."""
        return self.peer.control[0]

    @property
    def remote_host(self) -> str:
        path = self.path
        return path.remote[0] if isinstance(path, Flow) else path.host

    def fork(self, dialog: Dialog) -> None:
        """Another early dialog of our INVITE; the newest one is spoken in."""
        self.forks[dialog.remote_tag] = dialog
        self.dialog = dialog

    def dialog_with(self, remote_tag: str | None) -> Dialog | None:
        """The fork of that tag; where nothing forked there is one dialog."""
        return self.forks.get(remote_tag or "", self.dialog)


def contact_of(peer: Peer, user: str) -> str:
    """Our Contact on a leg of this peer."""
    host, port = peer.control
    literal = f"[{host}]" if ":" in host else host
    name = f"{user}@" if user else ""
    return f"<sip:{name}{literal}:{port};transport={peer.config.transport.value.lower()}>"


def next_hop(leg: Leg, plan: Plan) -> Path:
    """Where an in-dialog request of this leg goes."""
    return leg.path if leg.dialog is None else hop_of(leg.dialog, leg.path, leg.peer, plan)


def hop_of(dialog: Dialog, path: Path, peer: Peer, plan: Plan) -> Path:
    """Where a request in a dialog goes whose messages took `path` so far.

    A phone is reached on its flow alone. On the core side an open connection stays; else the route
    set or the remote target decides (RFC 3261 12.2.1.1), but only towards a host that the
    configuration names: a Contact must not make us talk to strangers.
    """
    if peer.side is Side.ACCESS or (isinstance(path, Flow) and path.open and path.transport.reliable):
        return path
    hop = dialog.next_hop
    host = unbracket(hop.host)
    if host not in plan.trusted and host != (path.remote[0] if isinstance(path, Flow) else path.host):
        return path
    transport = _transport(hop, peer.config.transport)
    return Target(transport, host, hop.port or DEFAULT_PORT[transport], peer.control)


def _transport(uri: Uri, default: Transport) -> Transport:
    named = uri.params.get("transport")
    try:
        return Transport(named.upper()) if named else default
    except ValueError:
        return default
