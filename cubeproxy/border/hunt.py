"""Our INVITE on its way through the routes: one attempt at a time, its answers, and the next.

An attempt that was given up on may still answer: a 2xx of it is acknowledged and ended, everything
else of it counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cubeproxy.border.building import Route, build_invite
from cubeproxy.border.descriptions import Refused
from cubeproxy.border.interworking import Kind
from cubeproxy.border.leg import hop_of
from cubeproxy.border.negotiation import cause_of
from cubeproxy.border.nodes import BUSYOUT
from cubeproxy.border.offer_answer import Input as Role
from cubeproxy.border.phases import Input, State
from cubeproxy.config.model import SrtpPolicy
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.sip.layer import ClientKey
from cubeproxy.protocols.sip.message import Request, Response
from cubeproxy.protocols.values import Path, Target

if TYPE_CHECKING:
    from cubeproxy.border.call import Call

FIRST_ANSWER = 4.0  # s for a route's first answer while another one could be asked

# What a peer answers when it cannot take SRTP; `srtp fallback` then offers RTP (facts: cube-line-side 3.1).
SRTP_REFUSED = frozenset({415, 488, 606})


class Hunt:
    """`routes` are those not tried yet, `attempt` the one whose answers count."""

    __slots__ = ("_call", "attempt", "routes")

    def __init__(self, call: Call, routes: list[Route]) -> None:
        self._call = call
        self.routes = routes
        self.attempt: Attempt | None = None

    def next(self, now: float) -> None:
        """Ask the next route."""
        route = self.routes.pop(0)
        leg = self._call.called
        leg.peer, leg.path, leg.number, leg.device = route.peer, route.path, route.number, route.device
        self._call.negotiation.reroute(route.peer)
        self._ask(route, now)

    def stop(self) -> None:
        """No further route will be asked."""
        self._call.calls.user.alarms.cancel(self)

    def cancel(self, now: float) -> None:
        """Nobody waits for an answer any more."""
        self.stop()
        if self.attempt is not None and self.attempt.client is not None:
            self._call.calls.user.cancel(self.attempt.client, now)

    def acknowledged(self, invite: Request, ack: Request, path: Path) -> None:
        """What the answer's retransmissions get."""
        if self.attempt is not None and self.attempt.invite is invite:
            self.attempt.acks[ack.to_tag or ""] = (ack, path)

    def decline(self, attempt: Attempt, response: Response, now: float) -> None:
        """ACK and BYE for a 2xx that nobody wants (RFC 3261 13.2.2.4)."""
        calls, route = self._call.calls, attempt.route
        dialog = Dialog.uac(attempt.invite, response)
        path = hop_of(dialog, route.path, route.peer, calls.plan)
        ack = dialog.ack(attempt.invite.cseq.number)
        attempt.acks[response.to_tag or ""] = (ack, path)
        calls.user.ack(ack, path, now)
        calls.send_bye(dialog, path, now)

    def _ask(self, route: Route, now: float) -> None:
        call, leg, user = self._call, self._call.called, self._call.calls.user
        try:
            if call.negotiation.expected_need(call.body) > call.need:
                raise Refused("no-transcoder", f"dial-peer {route.peer.tag} needs a transcoder and none is reserved")
            body = call.negotiation.pass_on(0, call.body, Role.REQUEST) if call.body else b""
        except (Refused, RemoteProtocolError) as error:
            call.fail(cause_of(error), now, str(error))
            return
        tokens = user.tokens
        leg.invite = build_invite(call.request, call.caller, leg, route, tokens.call_id(), tokens.tag(), body)
        call.calls.dialogs.translate(leg.invite, call.caller)
        attempt = self.attempt = Attempt(self, route, leg.invite)
        if self.routes:
            user.alarms.set(self, now + FIRST_ANSWER, lambda then: self.silent(attempt, "timeout", then))
        attempt.client = user.request(leg.invite, route.path, attempt, now)

    def answered(self, attempt: Attempt, response: Response, now: float) -> None:
        """A response to one of our INVITEs, retransmitted 2xx included."""
        call, status, tag = self._call, response.status, response.to_tag or ""
        if tag in attempt.acks and 200 <= status < 300:
            again = attempt.acks[tag]
            if again is not None:
                call.calls.user.ack(*again, now)
            return
        if attempt is not self.attempt or call.state not in (State.CALLING, State.GIVING_UP):
            if 200 <= status < 300:
                self.decline(attempt, response, now)
            return
        self.stop()
        if status == 100:
            return
        if status < 200:
            call.receive(Input.PROVISIONAL, response, now)
        elif status < 300:
            attempt.acks[tag] = None
            call.receive(Input.ANSWER, response, now)
        elif self._may_go_on() and self._falls_back(response):
            call.negotiation.concluded(ok=False)
            call.negotiation.sides[1].fallback = True
            self._ask(attempt.route, now)
        elif status in BUSYOUT and self.routes and self._may_go_on():
            self._give_up_on(attempt, now)
        else:
            call.receive(Input.REJECT, response, now)

    def silent(self, attempt: Attempt, cause: str, now: float) -> None:
        """Nothing came from this route ("timeout", "transport"): the next one, or the end."""
        call = self._call
        if attempt is not self.attempt or call.state not in (State.CALLING, State.GIVING_UP):
            return
        if self.routes and self._may_go_on():
            if attempt.client is not None:
                call.calls.user.cancel(attempt.client, now)
            self._give_up_on(attempt, now)
            return
        self._blame(attempt, now)
        call.receive(Input.REJECT, cause, now)

    def _give_up_on(self, attempt: Attempt, now: float) -> None:
        self._blame(attempt, now)
        self._call.negotiation.concluded(ok=False)
        self.next(now)

    def _blame(self, attempt: Attempt, now: float) -> None:
        if isinstance(attempt.route.path, Target):
            self._call.calls.nodes.failed(attempt.route.path, now)

    def _may_go_on(self) -> bool:
        """Nobody has rung yet, and the caller still waits."""
        return self._call.state is State.CALLING and not self._call.called.forks

    def _falls_back(self, response: Response) -> bool:
        side = self._call.negotiation.sides[1]
        return (
            response.status in SRTP_REFUSED
            and side.peer.policy is SrtpPolicy.FALLBACK
            and side.kind is Kind.SRTP
            and not side.fallback
        )


class Attempt:
    """One INVITE of ours; the waiter of its answers.

    `acks` by To tag: every 2xx that came, and our ACK to it with its path; None while the ACK waits for the caller's
    answer.
    """

    __slots__ = ("_hunt", "acks", "client", "invite", "route")

    def __init__(self, hunt: Hunt, route: Route, invite: Request) -> None:
        self._hunt = hunt
        self.route = route
        self.invite = invite
        self.client: ClientKey | None = None
        self.acks: dict[str, tuple[Request, Path] | None] = {}

    def response(self, response: Response, now: float) -> None:
        self._hunt.answered(self, response, now)

    def failed(self, cause: str, now: float) -> None:
        self._hunt.silent(self, cause, now)
