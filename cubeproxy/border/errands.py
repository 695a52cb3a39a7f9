"""Requests that stand alone: asked outside a dialog on one face, asked once on the other, answered back.

That is how a cluster tells a phone of waiting messages or to reset (NOTIFY without a subscription), and how texts go
(MESSAGE, PUBLISH). What would open a dialog of its own (SUBSCRIBE, REFER) is not carried.
"""

from __future__ import annotations

from cubeproxy.border.building import build_request, build_response
from cubeproxy.border.judge import Judge, Verdict
from cubeproxy.border.leg import Leg
from cubeproxy.border.plan import Peer
from cubeproxy.border.registrations import Registrations
from cubeproxy.border.user import TransactionUser
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response
from cubeproxy.protocols.values import Flow

ERRANDS = frozenset({"NOTIFY", "MESSAGE", "PUBLISH"})


class Errands:
    def __init__(self, judge: Judge, registrations: Registrations, user: TransactionUser) -> None:
        self._judge = judge
        self._registrations = registrations
        self._user = user

    def run(self, key: ServerKey, request: Request, flow: Flow, peer: Peer, now: float) -> None:
        """One request: to the phone's registered Contact, or to the node where the phone is at home."""
        verdict = self._judge.route(request, flow, peer)
        if verdict.cause:
            self._user.turn_away("request.refused", key, request, flow, peer, verdict.cause, now)
            return
        _Errand(self._user, key, request, flow, peer, verdict).ask(self._body(request, verdict), now)

    def _body(self, request: Request, verdict: Verdict) -> bytes:
        """The body for the other face. `service-control` names the phone's REGISTER by its Call-ID, which differs."""
        route = verdict.routes[0]
        binding = self._registrations.bindings.of_device(route.device, route.number) if route.device else None
        if binding is None or not binding.call_id:
            return request.body
        theirs, ours = f"{{{binding.core_call_id}}}".encode(), f"{{{binding.call_id}}}".encode()
        return request.body.replace(b"RegisterCallId=" + theirs, b"RegisterCallId=" + ours)


class _Errand:
    """One request on its way; the waiter of its answer."""

    __slots__ = ("_key", "_request", "_source", "_tag", "_target", "_user", "_verdict")

    def __init__(
        self, user: TransactionUser, key: ServerKey, request: Request, flow: Flow, peer: Peer, verdict: Verdict
    ) -> None:
        route = verdict.routes[0]
        self._user = user
        self._key = key
        self._request = request
        self._verdict = verdict
        self._source = Leg(0, 0, peer, flow, request.from_.uri.user, verdict.device)
        self._target = Leg(1, 0, route.peer, route.path, route.number, route.device)
        self._tag = user.tokens.tag()

    def ask(self, body: bytes, now: float) -> None:
        route, tokens = self._verdict.routes[0], self._user.tokens
        request = build_request(self._request, self._source, self._target, route, tokens.call_id(), tokens.tag(), body)
        self._user.request(request, route.path, self, now)

    def response(self, response: Response, now: float) -> None:
        if response.status < 200:
            return
        if response.status in (401, 407) and self._target.device:
            self._user.refuse(self._key, self._request, "challenged", self._source.host, now, self._tag)
            return
        answer = build_response(response, self._request, self._target, self._source, self._tag, response.body)
        self._user.respond(self._key, answer, now)

    def failed(self, cause: str, now: float) -> None:
        silent = "no-answer" if self._target.device else "all-nodes-down"
        self._user.refuse(self._key, self._request, silent, self._source.host, now, self._tag)
