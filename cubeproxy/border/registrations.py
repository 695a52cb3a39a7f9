"""REGISTER end to end (vendor: `registration passthrough`, RFC 3261 10).

A phone's REGISTER goes to one core node after another until one answers; challenges and answers
come back as they are, so that the phone's digest verifies. What changes: the Contact, which becomes
ours and keeps the phone's parameters, and the addresses of the other face. Expiry is what the core grants.
"""

from __future__ import annotations

import re

from cubeproxy.border.bindings import Binding, Bindings, Input, State
from cubeproxy.border.failures import FAILURES, apply
from cubeproxy.border.headers import CHALLENGES, CREDENTIALS, EXPIRES, PassList
from cubeproxy.border.identity import device_key
from cubeproxy.border.nodes import BUSYOUT, Nodes
from cubeproxy.border.plan import Node, Peer, Plan
from cubeproxy.border.routing import Router
from cubeproxy.border.user import TransactionUser, name_of
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Headers, Request, Response, response_to
from cubeproxy.protocols.sip.uri import NameAddr
from cubeproxy.protocols.values import Flow, Severity

DEFAULT_EXPIRES = 3600  # s, RFC 3261 10.3 leaves it to the registrar; the vendor's default
ATTEMPT_WAIT = 4.0  # s for a node's first answer while another node could be asked
MOST_NUMBERS = 128  # addresses of record of one device: more than any phone with its side cars has buttons
UNANSWERED = 64.0  # s that an address of record without a 2xx is remembered, for the phone's second REGISTER

_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)


class Registrations:
    def __init__(self, plan: Plan, router: Router, nodes: Nodes, user: TransactionUser) -> None:
        self.plan = plan
        self.router = router
        self.nodes = nodes
        self.user = user
        self.bindings = Bindings()

    def register(self, key: ServerKey, request: Request, flow: Flow, peer: Peer, now: float) -> None:
        """One REGISTER from a phone."""
        registrar = self.plan.config.voice.registrar
        if registrar is None:
            self.refuse("no-registrar", key, request, flow, peer, now)
            return
        wish = _Wish(request)
        if not wish.query and 0 < wish.expires < registrar.expires_min:
            response = response_to(request, 423, to_tag=self.user.tokens.tag())
            response.headers.add("Min-Expires", str(registrar.expires_min))
            self.user.respond(key, response, now)
            return
        wish.expires = min(wish.expires, registrar.expires_max)
        nodes = self.nodes.usable(self.router.core_nodes(request, peer))
        device = device_key(flow)
        if self.bindings.numbers(device) >= MOST_NUMBERS and self.bindings.find(device, wish.user) is None:
            self.refuse("too-many-numbers", key, request, flow, peer, now)
            return
        if not nodes:
            self.refuse("all-nodes-down", key, request, flow, peer, now)
            return
        _Attempt(self, key, request, flow, peer, wish, self._binding(wish, flow, peer), nodes).next(now)

    def flow_lost(self, flow: Flow) -> None:
        for binding in self.bindings.on_flow(flow):
            self._apply(binding, Input.FLOW_LOST)

    def refuse(self, cause: str, key: ServerKey, request: Request, flow: Flow, peer: Peer, now: float) -> None:
        """Answer ourselves."""
        self.user.turn_away("registration.refused", key, request, flow, peer, cause, now)

    def _binding(self, wish: _Wish, flow: Flow, peer: Peer) -> Binding:
        device = device_key(flow)
        binding = self.bindings.find(device, wish.user)
        if binding is None:
            tokens = self.user.tokens
            binding = Binding(device, wish.user, peer.tag, tokens.call_id(), tokens.tag())
            self.bindings.add(binding, wish.contact.uri.user if wish.contact and wish.contact.uri.user else wish.user)
        if binding.state is State.NEW:
            self.bindings.attach(binding, flow)
        return binding

    def remember(self, binding: Binding, now: float) -> None:
        """A node was asked: what has no 2xx yet stays known while its answer is awaited."""
        if binding.state is State.NEW:
            self._expire_at(binding, now + UNANSWERED)

    def _expire_at(self, binding: Binding, when: float) -> None:
        self.user.alarms.set(binding, when, lambda _now: self._apply(binding, Input.EXPIRED))

    def _apply(self, binding: Binding, event: Input) -> None:
        before, flow = binding.state, binding.flow
        after = self.bindings.receive(binding, event)
        if after is State.GONE:
            self.user.alarms.cancel(binding)
        if (before, after) not in REPORTS:
            return
        name, severity, text = REPORTS[before, after]
        self.user.report(
            name,
            severity,
            f"{binding.user} {text}",
            peer=name_of(flow) if flow else "",
            device=binding.device,
            expires=binding.granted,
        )

    def unanswered(self, binding: Binding) -> None:
        """No node took the REGISTER."""
        if binding.state is not State.GONE:
            self._apply(binding, Input.REFUSED)

    def settle(self, attempt: _Attempt, response: Response, node: Node, now: float) -> None:
        """The core's last word on an attempt: move the binding."""
        binding = attempt.binding
        if binding.state is State.GONE:  # the phone left, or took it back meanwhile
            return
        if response.status in (401, 407):
            self._apply(binding, Input.CHALLENGED)
        elif response.status >= 300:
            self._apply(binding, Input.REFUSED)
        elif attempt.wish.query:
            return
        elif (granted := _granted(response, binding, attempt.wish.expires)) == 0:
            self._apply(binding, Input.REMOVED)
        elif attempt.flow.open:
            binding.contact, binding.node, binding.peer = attempt.wish.contact, node, attempt.peer.tag
            binding.granted, binding.registered_at, binding.expires_at = granted, now, now + granted
            binding.call_id = attempt.request.call_id
            self.bindings.attach(binding, attempt.flow)
            self._expire_at(binding, binding.expires_at)
            self._apply(binding, Input.ACCEPTED)


# What the operator hears of a binding's moves. A refresh is silent, there is one every few minutes a phone.
REPORTS = {
    (State.NEW, State.BOUND): ("registration.accepted", Severity.INFO, "registered"),
    (State.DETACHED, State.BOUND): ("registration.accepted", Severity.INFO, "registered again"),
    (State.BOUND, State.GONE): ("registration.ended", Severity.INFO, "no longer registered"),
    (State.DETACHED, State.GONE): ("registration.ended", Severity.INFO, "no longer registered"),
    (State.BOUND, State.DETACHED): ("registration.detached", Severity.NOTICE, "lost its connection"),
}


class _Wish:
    """What a REGISTER asks for. Of several contacts the topmost counts (vendor: registration proxy limits)."""

    def __init__(self, request: Request) -> None:
        self.user = request.to.uri.user
        if not self.user:
            raise RemoteProtocolError("no user in the address of record", 400)
        self.star = request.contact_star
        contacts = request.contacts
        self.contact: NameAddr | None = contacts[0] if contacts else None
        self.query = self.contact is None and not self.star
        text = (self.contact.params.get("expires") if self.contact else None) or request.headers.get("Expires")
        self.expires = _seconds(text, DEFAULT_EXPIRES)
        if self.star and self.expires:
            raise RemoteProtocolError("Contact: * needs Expires: 0 (RFC 3261 10.3)", 400)


class _Attempt:
    """One REGISTER on its way through the nodes; the waiter of each node's answer."""

    def __init__(
        self,
        registrations: Registrations,
        key: ServerKey,
        request: Request,
        flow: Flow,
        peer: Peer,
        wish: _Wish,
        binding: Binding,
        nodes: list[Node],
    ) -> None:
        self._all = registrations
        self.key = key
        self.request = request
        self.flow = flow
        self.peer = peer
        self.wish = wish
        self.binding = binding
        self._nodes = nodes
        self._turn = 0

    def next(self, now: float) -> None:
        """Ask the next node; with none left the phone gets 503 and tries again."""
        user = self._all.user
        if not self._nodes:
            self._turn += 1
            user.alarms.cancel(self)
            self._all.refuse("all-nodes-down", self.key, self.request, self.flow, self.peer, now)
            self._all.unanswered(self.binding)
            return
        node = self._nodes.pop(0)
        self._turn += 1
        if self._nodes:
            user.alarms.set(self, now + ATTEMPT_WAIT, lambda then: self._failed(node, then))
        else:
            user.alarms.cancel(self)
        self._all.remember(self.binding, now)
        user.request(self._build(node), node.target, _Turn(self, node, self._turn), now)

    def response(self, turn: int, node: Node, response: Response, now: float) -> None:
        if turn != self._turn:
            return
        user = self._all.user
        user.alarms.cancel(self)
        if response.status < 200:
            return
        if response.status in BUSYOUT and self._nodes:
            self._failed(node, now)
            return
        self._turn += 1
        self._all.settle(self, response, node, now)
        user.respond(self.key, self._answer(response, now), now)

    def failed(self, turn: int, node: Node, now: float) -> None:
        if turn == self._turn:
            self._failed(node, now)

    def _failed(self, node: Node, now: float) -> None:
        self._all.nodes.failed(node.target, now)
        self.next(now)

    def _build(self, node: Node) -> Request:
        """The REGISTER towards a node: rebuilt, its credentials untouched."""
        binding, target = self.binding, node.target
        peer = self._all.plan.peers[node.peer]
        binding.cseq += 1
        headers = Headers()
        headers.add("Max-Forwards", "70")
        aor = f"<sip:{binding.user}@{target.host}>"
        headers.add("From", f"{aor};tag={binding.core_tag}")
        headers.add("To", aor)
        headers.add("Call-ID", binding.core_call_id)
        headers.add("CSeq", f"{binding.cseq} REGISTER")
        if not self.wish.query:
            headers.add("Contact", self._contact(node))
            headers.add("Expires", str(self.wish.expires))
        passing = PassList(peer, CREDENTIALS, without=EXPIRES)
        passing.carry(self.request.headers, headers)
        return Request("REGISTER", f"sip:{target.host}", headers, self.request.body)

    def _contact(self, node: Node) -> str:
        host, port = node.target.local
        transport = node.target.transport.value.lower()
        contact = f"<sip:{self.binding.alias}@{host}:{port};transport={transport}>"
        params = self.wish.contact.params.items() if self.wish.contact else ()
        for name, value in params:
            if name.lower() != "expires":
                contact += f";{name}" if value is None else f";{name}={value}"
        return f"{contact};expires={self.wish.expires}"

    def _answer(self, response: Response, now: float) -> Response:
        """The node's answer for the phone: its own Contact back, challenges as they are."""
        answer = response_to(self.request, response.status, response.reason, to_tag=self._all.user.tokens.tag())
        passing = PassList(self.peer, CHALLENGES, without=EXPIRES)
        passing.carry(response.headers, answer.headers)
        if response.status < 300 and self.wish.contact is not None and self.binding.live:
            uri = str(self.wish.contact.uri)
            answer.headers.add("Contact", f"<{uri}>;expires={self.binding.granted}")
            answer.headers.add("Expires", str(self.binding.granted))
        elif response.status < 300 and not self.wish.query:
            answer.headers.add("Expires", "0")
        elif response.status < 300 and self.binding.contact is not None and self.binding.live:
            left = max(0, int(self.binding.expires_at - now))
            answer.headers.add("Contact", f"<{self.binding.contact.uri}>;expires={left}")  # RFC 3261 10.3
        answer.body = response.body
        return apply(answer, FAILURES["all-nodes-down"], self.peer.control[0]) if response.status in BUSYOUT else answer


class _Turn:
    """The waiter of one node: an answer of a node that was given up on counts for nothing."""

    __slots__ = ("_attempt", "_node", "_turn")

    def __init__(self, attempt: _Attempt, node: Node, turn: int) -> None:
        self._attempt = attempt
        self._node = node
        self._turn = turn

    def response(self, response: Response, now: float) -> None:
        self._attempt.response(self._turn, self._node, response, now)

    def failed(self, cause: str, now: float) -> None:
        self._attempt.failed(self._turn, self._node, now)


def _granted(response: Response, binding: Binding, asked: int) -> int:
    """Seconds that the core granted to our Contact (RFC 3261 10.2.4)."""
    for contact in response.contacts:
        if contact.uri.user == binding.alias:
            return _seconds(contact.params.get("expires") or response.headers.get("Expires"), asked)
    if response.contacts:
        return 0
    return _seconds(response.headers.get("Expires"), asked)


def _seconds(text: str | None, default: int) -> int:
    """delta-seconds; anything else is the default (RFC 3261 20.19)."""
    if text is None or not _SECONDS.fullmatch(text.strip(" \t")):
        return default
    return int(text)
