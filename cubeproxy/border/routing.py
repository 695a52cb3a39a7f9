"""Dial-peer selection: which peer a request came in on, and which nodes may take it.

The order is the vendor's: for an incoming leg `incoming uri` via, request, to, from, then
`incoming called-number`, then the first peer of that face; for an outgoing one every matching
peer by preference, each with its nodes.
"""

from __future__ import annotations

import re

from cubeproxy.border.plan import Node, Peer, Plan, compile_pattern
from cubeproxy.config.model import UriClass
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.sip.uri import Uri, unescape
from cubeproxy.protocols.values import Flow, Side, Transport

INCOMING_ORDER = ("via", "request", "to", "from")


class Router:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._classes = {tag: _UriMatcher(uri_class) for tag, uri_class in plan.config.uri_classes.items()}
        self._patterns = {
            pattern: compile_pattern(pattern)
            for peer in plan.peers.values()
            for pattern in (peer.config.destination_pattern, peer.config.incoming_called_number)
            if pattern
        }

    def incoming(self, request: Request, flow: Flow) -> Peer:
        """The dial peer that a new request belongs to. There always is one: the face has listeners."""
        side = self.plan.side_of(flow.local)
        peers = [
            p
            for p in (self.plan.access if side is Side.ACCESS else self.plan.core)
            if p.control[0] == flow.local[0]
            and (p.config.transport is Transport.TLS) == (flow.transport is Transport.TLS)
        ]
        for where in INCOMING_ORDER:
            for peer in peers:
                tag = peer.config.incoming_uri.get(where)
                if tag and tag in self._classes and self._classes[tag].matches(_part(request, where)):
                    return peer
        number = _user(request.uri)
        for peer in peers:
            called = peer.config.incoming_called_number
            if called and self._patterns[called].match(number):
                return peer
        return peers[0] if peers else next(iter(self.plan.access if side is Side.ACCESS else self.plan.core))

    def core_nodes(self, request: Request, access: Peer) -> list[Node]:
        """The nodes that may take a request from a phone, best first.

        A `phone-proxy ... cucm` line ties the access peer to one node: that node comes first; the
        other core peers follow by preference, since a phone's own list of nodes does the same.
        """
        tied = access.config.phone_proxy.cucm if access.config.phone_proxy else ""
        nodes = [node for peer in self.plan.core if self._takes(peer, request) for node in peer.nodes]
        return sorted(nodes, key=lambda node: (node.target.host != tied, node.preference))

    def access_peer(self, request: Request, binding_peer: int) -> Peer | None:
        """The access peer that reaches a registered phone: where it registered, if it takes this URI."""
        peer = self.plan.peers.get(binding_peer)
        return peer if peer and self._takes_uri(peer, request) else None

    def _takes(self, peer: Peer, request: Request) -> bool:
        pattern = peer.config.destination_pattern
        if pattern and request.method != "REGISTER" and not self._patterns[pattern].match(_user(request.uri)):
            return False
        return self._takes_uri(peer, request)

    def _takes_uri(self, peer: Peer, request: Request) -> bool:
        tag = peer.config.destination_uri
        return not tag or (tag in self._classes and self._classes[tag].matches(Uri.parse(request.uri)))


class _UriMatcher:
    """`voice class uri`: every kind of condition that is given must hold; several hosts are alternatives."""

    def __init__(self, uri_class: UriClass) -> None:
        self.hosts = frozenset(host.lower() for host in uri_class.hosts)
        self.user = re.compile(uri_class.user_id) if uri_class.user_id else None
        self.pattern = re.compile(uri_class.pattern) if uri_class.pattern else None
        self.context = uri_class.phone_context

    def matches(self, uri: Uri | None) -> bool:
        if uri is None:
            return False
        if self.hosts and uri.host.strip("[]").lower() not in self.hosts:
            return False
        if self.user and not self.user.search(uri.user or ""):
            return False
        if self.context and uri.params.get("phone-context") != self.context:
            return False
        return not (self.pattern and not self.pattern.search(str(uri)))


def _part(request: Request, where: str) -> Uri | None:
    try:
        match where:
            case "via":
                via = request.via
                return Uri.parse(f"sip:{via.host}" if via.port is None else f"sip:{via.host}:{via.port}")
            case "request":
                return Uri.parse(request.uri)
            case "to":
                return request.to.uri
            case _:
                return request.from_.uri
    except RemoteProtocolError:
        return None


def _user(uri: str) -> str:
    """The number that a URI names: its user part without parameters (RFC 3966) and escapes."""
    try:
        return unescape((Uri.parse(uri).user or "").split(";", 1)[0])
    except RemoteProtocolError:
        return ""
