"""All calls: new ones are judged and routed here, later messages find theirs by dialog.

Every index of the border's calls lives in this file and is emptied by `ended`: dialogs, INVITE
transactions, tickets and media sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_bytes

from cubeproxy.border.call import Call
from cubeproxy.border.descriptions import Refused
from cubeproxy.border.dialogs import Dialogs
from cubeproxy.border.effects import Effect
from cubeproxy.border.failures import FAILURES
from cubeproxy.border.halves import Octets
from cubeproxy.border.headers import unsupported
from cubeproxy.border.identity import device_key
from cubeproxy.border.judge import Judge, Verdict
from cubeproxy.border.leg import Leg, next_hop
from cubeproxy.border.negotiation import cause_of
from cubeproxy.border.nodes import Nodes
from cubeproxy.border.passing import Passing
from cubeproxy.border.phases import Input, State
from cubeproxy.border.plan import Peer, Plan
from cubeproxy.border.registrations import Registrations
from cubeproxy.border.routing import Router
from cubeproxy.border.session_timer import Timer
from cubeproxy.border.user import TransactionUser, name_of
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.values import (
    Flow,
    MediaEvent,
    MediaLost,
    MediaMoved,
    MediaRefused,
    MediaReserved,
    Path,
    ReleaseMedia,
    Severity,
    Side,
)

ACKNOWLEDGED = frozenset({State.ANSWERED, State.UP, State.CLOSING})  # an ACK means something in these states


class Calls:
    def __init__(
        self, plan: Plan, router: Router, nodes: Nodes, registrations: Registrations, user: TransactionUser
    ) -> None:
        self.plan = plan
        self.nodes = nodes
        self.registrations = registrations
        self.user = user
        self.judge = Judge(plan, router, nodes, registrations)
        self.octets: Octets = token_bytes
        self.draining = False
        self.total = 0
        self._serial = 0
        self._leg_serial = 0
        self._calls: dict[int, Call] = {}  # by ticket
        self._sessions: dict[int, Call] = {}
        self.dialogs = Dialogs()
        self._invites: dict[ServerKey, Call | Passing] = {}

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

    def invite(self, key: ServerKey, request: Request, flow: Flow, peer: Peer, now: float) -> None:
        """An INVITE outside a dialog."""
        self.user.respond(key, response_to(request, 100), now)
        verdict = Verdict("draining") if self.draining else self.judge.call(request, flow, peer, self)
        if verdict.cause:
            self.user.turn_away("call.refused", key, request, flow, peer, verdict.cause, now)
            return
        bad = unsupported(request)
        if bad:
            response = response_to(request, 420, to_tag=self.user.tokens.tag())
            response.headers.add("Unsupported", ", ".join(bad))
            self.user.respond(key, response, now)
            return
        self._open(key, request, flow, peer, verdict, now)

    def _open(self, key: ServerKey, request: Request, flow: Flow, peer: Peer, verdict: Verdict, now: float) -> None:
        caller = self._leg(0, peer, flow, request.from_.uri.user, verdict.device)
        caller.invite = request
        caller.dialog = Dialog.uas(request, self.user.tokens.tag(), caller.contact)
        first = verdict.routes[0]
        called = self._leg(1, first.peer, first.path, first.number, first.device)
        self._serial += 1
        call = Call(self, self._serial, caller, called, verdict.routes, key, now)
        self._calls[call.ticket] = call
        self.dialogs.add(call, caller, caller.dialog)
        self.open_invite(caller, key, request, call)
        try:
            call.start(now)
        except (Refused, RemoteProtocolError) as error:
            call.receive(Input.FAIL, (cause_of(error), str(error)), now)

    def _leg(self, index: int, peer: Peer, path: Path, number: str, device: str) -> Leg:
        self._leg_serial += 1
        return Leg(index, self._leg_serial, peer, path, number, device)

    def in_dialog(self, key: ServerKey, request: Request, flow: Flow, now: float) -> None:
        """A request with a To tag."""
        found = self.dialogs.find(request)
        if found is None or not self._same_peer(found[1], flow):
            self.user.respond(key, response_to(request, 481), now)  # the same for both: a stranger learns nothing
            if found is not None:
                self._foreign(found[0], request, flow)
            return
        call, leg = found
        if isinstance(leg.path, Flow) and leg.path is not flow and flow.transport.reliable:
            leg.path = flow
        dialog = leg.dialog_with(request.from_tag)
        assert dialog is not None
        try:
            dialog.receive_request(request)
        except RemoteProtocolError as error:
            self.user.respond(key, response_to(request, error.status, error.reason), now)
            return
        if request.method == "BYE":
            call.receive(Input.CALLED_BYE if leg.index else Input.BYE, (leg, key, request), now)
        else:
            Passing(call, leg, key, request).start(now)

    def _foreign(self, call: Call, request: Request, flow: Flow) -> None:
        self.user.report(
            "dialog.foreign",
            Severity.WARNING,
            f"{request.method} into call {call.name} refused: the dialog is another peer's",
            peer=name_of(flow),
            device=flow.identity.name if flow.identity else "",
            call=call.name,
            cause="foreign-dialog",
            fix="nobody else can know this dialog by chance: find out who listens, and whose certificate this is",
        )

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
        if call.state in ACKNOWLEDGED and self.close_invite(leg, request.cseq.number):
            if call.state is State.UP:
                call.acknowledge(leg, request, now)
            else:
                call.receive(Input.ACK, request, now)

    def cancel(self, key: ServerKey, request: Request, now: float) -> None:
        owner = self._invites.get(key)
        if isinstance(owner, Call):
            owner.receive(Input.CANCEL, request, now)
        elif owner is not None:
            owner.cancel(now)

    def expired(self, key: ServerKey, now: float) -> None:
        """No ACK came for a final answer of ours; for a 2xx this is the end (RFC 3261 13.3.1.4)."""
        owner = self._invites.pop(key, None)
        if owner is not None:
            call = owner if isinstance(owner, Call) else owner.call
            if call.state in ACKNOWLEDGED:
                call.receive(Input.NO_ACK, "no-ack", now)

    def media(self, event: MediaEvent, now: float) -> None:
        if isinstance(event, MediaLost | MediaMoved):
            carried = self._sessions.get(event.session)
            if carried is not None:
                carried.receive(Input.MEDIA_LOST if isinstance(event, MediaLost) else Input.MEDIA_MOVED, event, now)
            return
        call = self._calls.get(event.ticket)
        if isinstance(event, MediaRefused):
            if call is not None and call.state is State.RESERVING:
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

    def media_released(self, call: Call) -> None:
        self._sessions.pop(call.session, None)

    def open_invite(self, leg: Leg, key: ServerKey, request: Request, owner: Call | Passing) -> None:
        """An INVITE of this leg's peer is open: what a CANCEL, an ACK or a missing one will be about."""
        leg.servers[request.cseq.number] = key
        self._invites[key] = owner

    def close_invite(self, leg: Leg, number: int) -> bool:
        """Nothing more will come of it. Whether it was open."""
        key = leg.servers.pop(number, None)
        return key is not None and self._invites.pop(key, None) is not None

    def watch_session(self, call: Call, response: Response, asker: int, now: float) -> None:
        """Session timer (RFC 4028), by a 2xx to leg `asker`: the peers refresh, we end what nobody refreshes."""
        call.timer = Timer.of(response, asker, now)
        if call.timer is None:
            self.user.alarms.cancel((call, "session"))
        else:
            self.user.alarms.set(
                (call, "session"), call.timer.deadline, lambda then: call.receive(Input.LIMIT, "session-expired", then)
            )

    def connected(self, call: Call) -> None:
        self.total += 1
        kinds = call.negotiation.session.kinds if call.negotiation.session else ()
        self.user.report(
            "call.connected",
            Severity.DEBUG,  # one line a call is enough, the one that says how it ended
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
        self._calls.pop(call.ticket, None)
        self.dialogs.forget(call)
        for leg in call.legs:
            for number in list(leg.servers):
                self.close_invite(leg, number)
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
