"""Our INVITE on its way through the routes: one attempt at a time, its answers, and the next.

An attempt that was given up on may still answer: a 2xx of it is acknowledged and ended, everything
else of it counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cubeproxy.border.building import Route, build_request
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
    from cubeproxy.border.calls import Calls

FIRST_ANSWER = 4.0  # s for a route's first answer while another one could be asked

# What a peer answers when it cannot take SRTP; `srtp fallback` then offers RTP (vendor: SRTP-RTP interworking).
SRTP_REFUSED = frozenset({415, 488, 606})


class Hunt:
    """`routes` are those not tried yet, `attempt` the one whose answers count.

    It is handed its call and does not hold it: a ring of the two would leave ended calls to the garbage collector.
    """

    __slots__ = ("_attempts", "attempt", "routes")

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self.attempt: Attempt | None = None
        self._attempts: list[Attempt] = []

    def next(self, call: Call, now: float) -> None:
        """Ask the next route."""
        route = self.routes.pop(0)
        leg = call.called
        leg.peer, leg.path, leg.number, leg.device = route.peer, route.path, route.number, route.device
        call.negotiation.reroute(route.peer)
        self._ask(call, route, now)

    def stop(self, call: Call) -> None:
        """No further route will be asked."""
        call.calls.user.alarms.cancel(self)

    def over(self, call: Call) -> None:
        """The call has ended: late answers are the attempts' own business, and nothing of the call is kept for them."""
        self.stop(call)
        for attempt in self._attempts:
            attempt.orphan()

    def cancel(self, call: Call, now: float) -> None:
        """Nobody waits for an answer any more."""
        self.stop(call)
        if self.attempt is not None and self.attempt.client is not None:
            call.calls.user.cancel(self.attempt.client, now)

    def acknowledged(self, invite: Request, ack: Request, path: Path) -> None:
        """What the answer's retransmissions get."""
        if self.attempt is not None and self.attempt.invite is invite:
            self.attempt.acks[ack.to_tag or ""] = (ack, path)

    def _ask(self, call: Call, route: Route, now: float) -> None:
        leg, user = call.called, call.calls.user
        try:
            if call.lacks(call.negotiation.expected_need(call.body), call.negotiation.transcodes):
                raise Refused("no-transcoder", f"dial-peer {route.peer.tag} needs a transcoder and none is reserved")
            body = call.negotiation.pass_on(0, call.body, Role.REQUEST) if call.body else b""
        except (Refused, RemoteProtocolError) as error:
            call.receive(Input.FAIL, (cause_of(error), str(error)), now)
            return
        tokens = user.tokens
        leg.invite = build_request(call.request, call.caller, leg, route, tokens.call_id(), tokens.tag(), body)
        call.calls.dialogs.translate(leg.invite, call.caller)
        attempt = self.attempt = Attempt(call, route, leg.invite)
        self._attempts.append(attempt)
        if self.routes:
            user.alarms.set(self, now + FIRST_ANSWER, lambda then: self.silent(call, attempt, "timeout", then))
        attempt.client = user.request(leg.invite, route.path, attempt, now)

    def answered(self, call: Call, attempt: Attempt, response: Response, now: float) -> None:
        """A response to one of our INVITEs, a 2xx that came before left out."""
        status, tag = response.status, response.to_tag or ""
        if attempt is not self.attempt or call.state not in (State.CALLING, State.GIVING_UP):
            if 200 <= status < 300:
                attempt.decline(response, now)
            return
        self.stop(call)
        if status == 100:
            return
        if status < 200:
            call.receive(Input.PROVISIONAL, response, now)
        elif status < 300:
            attempt.acks[tag] = None
            call.receive(Input.ANSWER, response, now)
        elif self._may_go_on(call) and self._falls_back(call, response):
            call.negotiation.concluded(ok=False)
            call.negotiation.sides[1].fallback = True
            self._ask(call, attempt.route, now)
        elif status in BUSYOUT and self.routes and self._may_go_on(call):
            self._give_up_on(call, attempt, now)
        else:
            call.receive(Input.REJECT, response, now)

    def silent(self, call: Call, attempt: Attempt, cause: str, now: float) -> None:
        """Nothing came from this route ("timeout", "transport"): the next one, or the end."""
        if attempt is not self.attempt or call.state not in (State.CALLING, State.GIVING_UP):
            return
        if self.routes and self._may_go_on(call):
            if attempt.client is not None:
                call.calls.user.cancel(attempt.client, now)
            self._give_up_on(call, attempt, now)
            return
        self._blame(call, attempt, now)
        call.receive(Input.REJECT, cause, now)

    def _give_up_on(self, call: Call, attempt: Attempt, now: float) -> None:
        self._blame(call, attempt, now)
        call.negotiation.concluded(ok=False)
        self.next(call, now)

    def _blame(self, call: Call, attempt: Attempt, now: float) -> None:
        if isinstance(attempt.route.path, Target):
            call.calls.nodes.failed(attempt.route.path, now)

    def _may_go_on(self, call: Call) -> bool:
        """Nobody has rung yet, and the caller still waits."""
        return call.state is State.CALLING and not call.called.forks

    def _falls_back(self, call: Call, response: Response) -> bool:
        side = call.negotiation.sides[1]
        return (
            response.status in SRTP_REFUSED
            and side.peer.policy is SrtpPolicy.FALLBACK
            and side.kind is Kind.SRTP
            and not side.fallback
        )


class Attempt:
    """One INVITE of ours; the waiter of its answers.

    `acks` by To tag: every 2xx that came, and our ACK to it with its path; None while the ACK waits for the caller's
    answer. A 2xx may come for 64*T1 (RFC 6026 7.2), long after a short call: an attempt outlives its call.
    """

    __slots__ = ("_call", "_calls", "acks", "client", "invite", "route")

    def __init__(self, call: Call, route: Route, invite: Request) -> None:
        self._call: Call | None = call  # None: the call has ended
        self._calls: Calls = call.calls
        self.route = route
        self.invite = invite
        self.client: ClientKey | None = None
        self.acks: dict[str, tuple[Request, Path] | None] = {}

    def response(self, response: Response, now: float) -> None:
        success, tag = 200 <= response.status < 300, response.to_tag or ""
        if success and tag in self.acks:
            again = self.acks[tag]
            if again is not None:
                self._calls.user.ack(*again, now)
        elif self._call is not None:
            self._call.hunt.answered(self._call, self, response, now)
        elif success:
            self.decline(response, now)

    def failed(self, cause: str, now: float) -> None:
        if self._call is not None:
            self._call.hunt.silent(self._call, self, cause, now)

    def decline(self, response: Response, now: float) -> None:
        """ACK and BYE for a 2xx that nobody wants (RFC 3261 13.2.2.4)."""
        dialog = Dialog.uac(self.invite, response)
        path = hop_of(dialog, self.route.path, self.route.peer, self._calls.plan)
        ack = dialog.ack(self.invite.cseq.number)
        self.acks[response.to_tag or ""] = (ack, path)
        self._calls.user.ack(ack, path, now)
        self._calls.send_bye(dialog, path, now)

    def orphan(self) -> None:
        """Keep what a late 2xx needs, and no keys: after a first 2xx the INVITE is never sent again."""
        self._call = None
        if self.acks:
            self.invite.body = b""
