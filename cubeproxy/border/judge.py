"""Whether a new request may come in, and where a new call may go: the checks before anything is opened.

Two rules: a cause that is returned is a key of FAILURES, and nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from cubeproxy.border.building import Route, description_of
from cubeproxy.border.identity import device_key
from cubeproxy.border.nodes import Nodes
from cubeproxy.border.plan import Peer, Plan
from cubeproxy.border.registrations import Registrations
from cubeproxy.border.routing import Router
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.sip.uri import Uri
from cubeproxy.protocols.values import Flow, Side

if TYPE_CHECKING:
    from cubeproxy.border.call import Call

PASSED = frozenset({"INVITE", "REGISTER", "NOTIFY", "MESSAGE", "PUBLISH"})  # outside a dialog
SCHEMES = frozenset({"sip", "sips", "tel"})  # of a Request-URI


@dataclass(slots=True)
class Verdict:
    """`cause` is why not, "" when the call may go along `routes`. `device` is the caller's."""

    cause: str = ""
    routes: list[Route] = field(default_factory=list)
    device: str = ""


class Judge:
    def __init__(self, plan: Plan, router: Router, nodes: Nodes, registrations: Registrations) -> None:
        self._plan = plan
        self._router = router
        self._nodes = nodes
        self._registrations = registrations
        self._trusted = [ip_network(text) for text in plan.config.voice.trusted]

    def trusts(self, flow: Flow) -> bool:
        """Whether a core-side source may speak to us: by its address, or by a certificate that is no phone's."""
        return (flow.identity is not None and flow.identity.kind == "peer") or self.trusts_host(flow.remote[0])

    def trusts_host(self, host: str) -> bool:
        """By address alone (vendor: `ip address trusted list`, and whatever a session target names)."""
        if host in self._plan.trusted or not self._plan.config.voice.trust_authenticate:
            return True
        address = ip_address(host)
        return any(address in network for network in self._trusted)

    def obstacle(self, request: Request) -> str:
        """What is wrong with any request before its method is looked at (RFC 3261 8.2.2.1, 16.3)."""
        if Uri.parse(request.uri).scheme not in SCHEMES:
            return "uri-scheme"
        through = request.to_tag or request.method in PASSED
        return "too-many-hops" if through and request.max_forwards == 0 and request.method != "BYE" else ""

    def call(self, request: Request, flow: Flow, peer: Peer, calls: Iterable[Call]) -> Verdict:
        """A new INVITE that came in on `peer`, with `calls` up."""
        limit = peer.config.max_conn
        if limit and sum(1 for call in calls if call.caller.peer is peer) >= limit:
            return Verdict("max-conn")
        if request.body and not description_of(request):
            return Verdict("sdp-type")
        return self.route(request, flow, peer)

    def route(self, request: Request, flow: Flow, peer: Peer) -> Verdict:
        """Where a request outside a dialog goes on the other face."""
        return self._from_phone(request, flow, peer) if peer.side is Side.ACCESS else self._from_core(request)

    def _from_phone(self, request: Request, flow: Flow, peer: Peer) -> Verdict:
        """A phone calls out: registered on this device under the number that it calls from."""
        device = device_key(flow)
        binding = self._registrations.bindings.of_device(device, request.from_.uri.user)
        if binding is None:
            return Verdict("not-registered", device=device)
        number = Uri.parse(request.uri).user
        if not number:
            return Verdict("no-number", device=device)
        nodes = self._router.core_nodes(request, peer)
        if not nodes:
            return Verdict("no-peer", device=device)
        nodes = self._nodes.usable(nodes)
        if not nodes:
            return Verdict("all-nodes-down", device=device)
        home = binding.node.target if binding.node else None
        nodes.sort(key=lambda node: (self._nodes.rests(node.target), node.target != home))
        routes = []
        for node in nodes:
            host = node.target.host
            uri = f"sip:{number}@{host}:{node.target.port}"
            routes.append(Route(self._plan.peers[node.peer], node.target, uri, host, number))
        return Verdict("", routes, device)

    def _from_core(self, request: Request) -> Verdict:
        """The core calls a phone: the Contact that we registered for it, or its number."""
        binding = self._registrations.bindings.called(Uri.parse(request.uri).user)
        if binding is None or binding.contact is None:
            return Verdict("unknown-number")
        peer = self._router.access_peer(request, binding.peer)
        if peer is None:
            return Verdict("no-peer")
        if not binding.reachable or binding.flow is None:
            return Verdict("phone-away")
        uri = str(binding.contact.uri)
        return Verdict("", [Route(peer, binding.flow, uri, peer.control[0], binding.user, binding.device)])
