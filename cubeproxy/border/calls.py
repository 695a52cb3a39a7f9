"""All calls: new ones are judged and routed here, later messages find theirs by dialog.

Every index of the border's calls lives in this file and is emptied by `ended`: dialogs, INVITE
transactions, tickets and media sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from secrets import token_bytes

from cubeproxy.border.building import Route, description_of
from cubeproxy.border.call import Call
from cubeproxy.border.dialogs import Dialogs
from cubeproxy.border.effects import Effect
from cubeproxy.border.failures import FAILURES
from cubeproxy.border.headers import unsupported
from cubeproxy.border.identity import device_key
from cubeproxy.border.leg import Leg, next_hop
from cubeproxy.border.negotiation import Refused, cause_of
from cubeproxy.border.nodes import Nodes
from cubeproxy.border.passing import Passing, refuse_in_dialog
from cubeproxy.border.phases import Input, State
from cubeproxy.border.plan import Peer, Plan
from cubeproxy.border.registrations import Registrations
from cubeproxy.border.routing import Router
from cubeproxy.border.session_timer import refresh_deadline
from cubeproxy.border.user import TransactionUser, name_of
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.sip.uri import Uri
from cubeproxy.protocols.values import (
    Flow,
    MediaEvent,
    MediaLost,
    MediaRefused,
    MediaReserved,
    Path,
    ReleaseMedia,
    Severity,
    Side,
)


class Calls:
    def __init__(
        self, plan: Plan, router: Router, nodes: Nodes, registrations: Registrations, user: TransactionUser
    ) -> None:
        self.plan = plan
        self.router = router
        self.nodes = nodes
        self.registrations = registrations
        self.user = user
        self.octets = token_bytes
        self.draining = False
        self.total = 0
        self._serial = 0
        self._leg_serial = 0
        self._calls: dict[int, Call] = {}  # by ticket
        self._sessions: dict[int, Call] = {}
        self.dialogs = Dialogs()
        self._invites: dict[ServerKey, Call | Passing] = {}
        self._trusted = [ip_network(text) for text in plan.config.voice.trusted]

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def counts(self) -> dict[str, int]:
        """What is held, for leak tests: all 0 when no call is up."""
        return {
            "calls": len(self._calls),
            "sessions": len(self._sessions),
            "dialogs": len(self.dialogs),
            "invites": len(self._invites),
        }

    def emit(self, effect: Effect) -> None:
        self.user.out.append(effect)

    # --- new calls ------------------------------------------------------------------------------

    def invite(self, key: ServerKey, request: Request, flow: Flow, peer: Peer, now: float) -> None:
        """An INVITE outside a dialog."""
        self.user.respond(key, response_to(request, 100), now)
        cause, routes, device = self._judge(request, flow, peer)
        bad = unsupported(request)
        if bad and not cause:
            response = response_to(request, 420, to_tag=self.user.tokens.tag())
            response.headers.add("Unsupported", ", ".join(bad))
            self.user.respond(key, response, now)
            return
        if cause:
            self._refuse_new(key, request, flow, peer, cause, now)
            return
        self._serial += 1
        caller = self._leg(0, peer, flow, request.from_.uri.user or "", device)
        caller.invite, caller.server = request, key
        caller.dialog = Dialog.uas(request, self.user.tokens.tag(), caller.contact)
        first = routes[0]
        called = self._leg(1, first.peer, first.path, first.number, first.device)
        call = Call(self, self._serial, caller, called, routes, now)
        self._calls[call.ticket] = call
        self.dialogs.add(call, caller, caller.dialog)
        self._invites[key] = call
        try:
            call.start(now)
        except (Refused, RemoteProtocolError) as error:
            call.fail(cause_of(error), now, str(error))

    def _leg(self, index: int, peer: Peer, path: Path, number: str, device: str) -> Leg:
        self._leg_serial += 1
        return Leg(index, self._leg_serial, peer, path, number, device)

    def _judge(self, request: Request, flow: Flow, peer: Peer) -> tuple[str, list[Route], str]:
        """(cause of refusal or "", routes, the caller's device) of a new INVITE."""
        if self.draining:
            return "draining", [], ""
        if peer.config.max_conn and sum(1 for c in self if c.caller.peer is peer) >= peer.config.max_conn:
            return "max-conn", [], ""
        if request.body and not description_of(request):
            return "sdp-type", [], ""
        return self._from_phone(request, flow, peer) if peer.side is Side.ACCESS else self._from_core(request)

    def _from_phone(self, request: Request, flow: Flow, peer: Peer) -> tuple[str, list[Route], str]:
        """A phone calls out: registered on this device under the number that it calls from."""
        device = device_key(flow)
        binding = self.registrations.bindings.of_device(device, request.from_.uri.user or "")
        if binding is None:
            return "not-registered", [], device
        nodes = self.router.core_nodes(request, peer)
        if not nodes:
            return "no-peer", [], device
        nodes = self.nodes.usable(nodes)
        nodes.sort(key=lambda node: binding.node is None or node.target != binding.node.target)
        if not nodes:
            return "all-nodes-down", [], device
        number = Uri.parse(request.uri).user or ""
        routes = [
            Route(
                self.plan.peers[n.peer],
                n.target,
                f"sip:{number}@{n.target.host}:{n.target.port}",
                n.target.host,
                number,
            )
            for n in nodes
        ]
        return "", routes, device

    def _from_core(self, request: Request) -> tuple[str, list[Route], str]:
        """The core calls a phone: the Contact that we registered for it, or its number."""
        user = Uri.parse(request.uri).user or ""
        binding = self.registrations.bindings.called(user)
        if binding is None or binding.contact is None:
            return "unknown-number", [], ""
        peer = self.router.access_peer(request, binding.peer)
        if peer is None:
            return "no-peer", [], ""
        if not binding.reachable or binding.flow is None:
            return "phone-away", [], ""
        host = peer.control[0]
        return "", [Route(peer, binding.flow, str(binding.contact.uri), host, binding.user, binding.device)], ""

    def trusts(self, flow: Flow) -> bool:
        """Whether a core-side source may speak to us: by its address, or by a certificate that is no phone's."""
        return (flow.identity is not None and flow.identity.kind == "peer") or self.trusts_host(flow.remote[0])

    def trusts_host(self, host: str) -> bool:
        """By address alone (vendor: `ip address trusted list`, and whatever a session target names)."""
        if host in self.plan.trusted:
            return True
        address = ip_address(host)
        return any(address in network for network in self._trusted)

    def _refuse_new(self, key: ServerKey, request: Request, flow: Flow, peer: Peer, cause: str, now: float) -> None:
        self.user.refuse(key, request, cause, peer.control[0], now)
        self.user.report(
            "call.refused",
            Severity.WARNING,
            f"INVITE refused: {FAILURES[cause].warning or cause}",
            peer=name_of(flow),
            device=flow.identity.name if flow.identity else "",
            cause=cause,
            fix=FAILURES[cause].fix,
            dial_peer=peer.tag,
        )

    # --- inside calls ---------------------------------------------------------------------------

    def in_dialog(self, key: ServerKey, request: Request, flow: Flow, now: float) -> None:
        """A request with a To tag."""
        found = self.dialogs.find(request)
        if found is None or not self._same_peer(found[1], flow):
            self.user.respond(key, response_to(request, 481), now)
            return
        call, leg = found
        assert leg.dialog is not None
        if isinstance(leg.path, Flow) and leg.path is not flow and flow.transport.reliable:
            leg.path = flow
        try:
            leg.dialog.receive_request(request)
        except RemoteProtocolError as error:
            self.user.respond(key, response_to(request, error.status, error.reason), now)
            return
        if request.method == "BYE":
            call.receive(Input.BYE, (leg, key, request), now)
        else:
            passing = Passing(call, leg, key, request)
            try:
                passing.start(now)
            except (Refused, RemoteProtocolError) as error:
                refuse_in_dialog(call, leg, key, request, error, now)

    def _same_peer(self, leg: Leg, flow: Flow) -> bool:
        """A dialog of a phone is open to that phone alone, one of the core to the core."""
        if self.plan.side_of(flow.local) is not leg.side:
            return False
        return leg.side is Side.CORE or device_key(flow) == leg.device

    def ack(self, request: Request, flow: Flow, now: float) -> None:
        found = self.dialogs.find(request)
        if found is None or not self._same_peer(found[1], flow):
            return
        call, leg = found
        if call.state is State.ANSWERED and leg is call.caller:
            if leg.server is not None:
                self._invites.pop(leg.server, None)
            call.receive(Input.ACK, request, now)
        elif call.state is State.UP:
            if leg.server is not None:
                self._invites.pop(leg.server, None)
            call.acknowledge(leg, request, now)

    def cancel(self, key: ServerKey, request: Request, now: float) -> None:
        owner = self._invites.get(key)
        if isinstance(owner, Call):
            if owner.state < State.ANSWERED:
                owner.receive(Input.CANCEL, request, now)
        elif owner is not None:
            owner.cancel(now)

    def expired(self, key: ServerKey, now: float) -> None:
        """No ACK came for a final answer of ours."""
        owner = self._invites.pop(key, None)
        call = owner if isinstance(owner, Call) else owner.call if owner else None
        if call is not None and call.state in (State.ANSWERED, State.UP):
            call.receive(Input.NO_ACK, None, now)

    def media(self, event: MediaEvent, now: float) -> None:
        if isinstance(event, MediaLost):
            lost = self._sessions.get(event.session)
            if lost is not None and lost.state is not State.GIVING_UP:
                lost.receive(Input.MEDIA_LOST, event, now)
            return
        call = self._calls.get(event.ticket)
        if isinstance(event, MediaRefused):
            if call is not None:
                call.receive(Input.REFUSED, event, now)
        elif isinstance(event, MediaReserved):
            if call is None or call.state is not State.RESERVING:
                self.emit(ReleaseMedia(event.session))
                return
            self._sessions[event.session] = call
            call.receive(Input.RESERVED, event, now)

    def send(self, request: Request, leg: Leg, now: float) -> None:
        """A request of our own in a leg's dialog; nobody waits for its answer."""
        self.user.request(request, self.path_of(leg), _Nobody(), now)

    def send_bye(self, dialog: Dialog, path: Path, now: float) -> None:
        self.user.request(dialog.request("BYE"), path, _Nobody(), now)

    def path_of(self, leg: Leg) -> Path:
        """Where a leg's peer is reached now: a phone that came back is on a new flow."""
        if leg.side is Side.ACCESS and isinstance(leg.path, Flow) and not leg.path.open:
            for binding in self.registrations.bindings:
                if binding.device == leg.device and binding.reachable and binding.flow is not None:
                    leg.path = binding.flow
                    break
        return next_hop(leg, self.plan)

    # --- indexes --------------------------------------------------------------------------------

    def media_released(self, call: Call) -> None:
        self._sessions.pop(call.session, None)

    def open_invite(self, leg: Leg, key: ServerKey, owner: Passing) -> None:
        """A re-INVITE of this leg's peer is open: what a CANCEL or a missing ACK will be about."""
        leg.server = key
        self._invites[key] = owner

    def watch_session(self, call: Call, response: Response, now: float) -> None:
        """Session timer (RFC 4028): the peers refresh, we end what nobody refreshes."""
        deadline = refresh_deadline(response, now)
        if deadline is None:
            self.user.alarms.cancel((call, "session"))
        else:
            self.user.alarms.set(
                (call, "session"), deadline, lambda then: call.receive(Input.LIMIT, "session-expired", then)
            )

    # --- what the operator hears ----------------------------------------------------------------

    def connected(self, call: Call, now: float) -> None:
        self.total += 1
        kinds = call.negotiation.session.kinds if call.negotiation.session else ()
        self.user.report(
            "call.connected",
            Severity.INFO,
            f"call {call.name} {call.caller.number} -> {call.called.number} connected",
            call=call.name,
            device=call.caller.device or call.called.device,
            media=" to ".join(kind.value for kind in kinds),
        )

    def refused(self, call: Call, cause: str, text: str) -> None:
        self.user.report(
            "call.refused",
            Severity.WARNING,
            f"call {call.name} {call.caller.number} -> {call.called.number} refused: "
            f"{FAILURES[cause].warning or cause}{f' ({text})' if text else ''}",
            call=call.name,
            device=call.caller.device or call.called.device,
            peer=name_of(call.caller.path),
            cause=cause,
            fix=FAILURES[cause].fix,
        )

    def ended(self, call: Call, now: float) -> None:
        """Take a call out of every index."""
        self.user.alarms.cancel((call, "session"))
        self._calls.pop(call.ticket, None)
        self.dialogs.forget(call)
        for leg in call.legs:
            if leg.server is not None:
                self._invites.pop(leg.server, None)
        if call.connected_at is not None:
            self.user.report(
                "call.ended",
                Severity.INFO,
                f"call {call.name} {call.caller.number} -> {call.called.number} ended: {call.cause}",
                call=call.name,
                cause=call.cause,
                seconds=round(now - call.connected_at, 3),
            )


class _Nobody:
    """The waiter of a BYE: whatever comes, the call has ended."""

    __slots__ = ()

    def response(self, response: Response, now: float) -> None:
        pass

    def failed(self, cause: str, now: float) -> None:
        pass
