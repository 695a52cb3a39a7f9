"""A call: two legs, one negotiation, one media session, and a table of what may happen when.

Only the INVITE that sets the call up is handled here; what is asked inside the dialogs later is
`passing`'s work, what is agreed is `negotiation`'s. Every transition stands in TRANSITIONS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cubeproxy.border import ending
from cubeproxy.border.building import Route, build_response, copy_into, description_of
from cubeproxy.border.descriptions import Refused
from cubeproxy.border.failures import FAILURES
from cubeproxy.border.halves import Session
from cubeproxy.border.hunt import Hunt
from cubeproxy.border.leg import Leg
from cubeproxy.border.negotiation import Negotiation, answer_cause, cause_of
from cubeproxy.border.offer_answer import Input as Role
from cubeproxy.border.phases import Input, State
from cubeproxy.border.reliable import Reliable, rseq_of
from cubeproxy.border.renewal import Renewal
from cubeproxy.border.session_timer import Timer
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog, DialogState
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.values import (
    MediaMoved,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    UpdateMedia,
)

if TYPE_CHECKING:
    from cubeproxy.border.calls import Calls
    from cubeproxy.border.passing import Passing

RING_LIMIT = 180.0  # s from the INVITE to its final answer (timer C, RFC 3261 16.6)
MAX_FORKS = 16  # early dialogs of one INVITE; what comes from more of them is not passed on


class Call:
    __slots__ = (
        "body", "calls", "cause", "connected_at", "delayed", "hunt", "legs", "name", "need", "negotiation", "pending",
        "reinviting", "reliable", "renewal", "request", "server", "session", "settled", "started_at", "state", "ticket",
        "timer", "told", "transcodes",
    )  # fmt: skip

    def __init__(
        self, calls: Calls, ticket: int, caller: Leg, called: Leg, routes: list[Route], server: ServerKey, now: float
    ) -> None:
        assert caller.invite is not None
        self.calls = calls
        self.ticket = ticket
        self.name = f"{ticket:X}"
        self.legs = (caller, called)
        self.hunt = Hunt(routes)
        self.server = server  # the caller's INVITE
        self.request = caller.invite
        self.body = description_of(caller.invite)
        plan = calls.plan
        self.negotiation = Negotiation(
            caller.peer,
            called.peer,
            plan.personality,
            calls.octets,
            plan.signalling,
            farms=plan.farms,
            transcodes=plan.transcodes,
        )
        self.reliable = Reliable()
        self.need = Need.RELAY  # what was reserved, and whether for two codecs
        self.transcodes = False
        self.state = State.RESERVING
        self.session = 0  # media session, 0 until reserved
        self.told: Session | None = None  # what the media engine knows
        self.settled: str | None = None  # To tag of the fork whose reliable response had a description
        self.delayed: Leg | None = None  # the leg whose 2xx carried an offer and waits for our ACK
        self.pending: set[Passing] = set()  # requests inside the dialogs that have no final answer yet
        self.reinviting: Passing | Renewal | None = None  # the re-INVITE among them, or one of ours
        self.renewal: Renewal | None = None  # while the peers have to hear of new keys
        self.timer: Timer | None = None  # the session timer that the peers have agreed on
        self.cause = ""
        self.started_at = now
        self.connected_at: float | None = None

    @property
    def caller(self) -> Leg:
        return self.legs[0]

    @property
    def called(self) -> Leg:
        return self.legs[1]

    @property
    def over(self) -> bool:
        """Nothing passes any more."""
        return self.state >= State.GIVING_UP

    def receive(self, event: Input, argument: Any, now: float) -> None:
        """Apply one input. A call in ENDED has given everything back; a missing pair is a bug of ours."""
        action, state = TRANSITIONS[self.state, event]
        self.state = state
        action(self, argument, now)
        if state is State.ENDED:
            self._finish(now)

    def start(self, now: float) -> None:
        """Ask for media. Raises Refused when the first offer already cannot be taken."""
        self.need = self.negotiation.expected_need(self.body)
        self.transcodes = self.negotiation.transcodes
        self.calls.emit(
            ReserveMedia(
                self.ticket,
                self.name,
                (self.caller.peer.media, self.called.peer.media),
                self.need,
                transcodes=self.transcodes,
            )
        )
        self.calls.user.alarms.set(self, now + RING_LIMIT, lambda then: self.receive(Input.LIMIT, "no-answer", then))

    def invite(self, reserved: MediaReserved, now: float) -> None:
        self.session = reserved.session
        self.negotiation.set_local(*reserved.local)
        self.hunt.next(self, now)

    def ring(self, response: Response, now: float) -> None:
        """18x to the caller; a description in it is an answer, a preview unless the response is reliable (RFC 3262)."""
        tag, rseq = response.to_tag, rseq_of(response)
        if not tag:
            self.to_caller(response, b"", now)
            return
        if tag not in self.called.forks and len(self.called.forks) == MAX_FORKS:
            return
        try:
            self._dialog(response)
            body = self._described(response, Role.PREVIEW if rseq is None else Role.REPLY)
        except (Refused, RemoteProtocolError) as error:
            self.receive(Input.GIVE_UP, (answer_cause(error), str(error)), now)
            return
        self.update()
        self.to_caller(response, body, now, self.reliable.number(tag, rseq) if rseq is not None else None)

    def answer(self, response: Response, now: float) -> None:
        """2xx from the called side."""
        leg, first = self.called, self.settled is None
        assert leg.invite is not None
        try:
            dialog = self._dialog(response)
            body = self._described(response, Role.REPLY)
            if first:
                self.negotiation.concluded(ok=True)
            if first and self.negotiation.state.owed_by(0):
                raise Refused("bad-answer", "no description answers the offer")
            self.check_need()
        except (Refused, RemoteProtocolError) as error:
            assert self.hunt.attempt is not None
            self.hunt.attempt.decline(response, now)
            self.receive(Input.FAIL, (answer_cause(error), str(error)), now)
            return
        self.calls.dialogs.answered(self, leg, dialog)
        self.connected_at = now
        if first and self.negotiation.state.owed_by(1):
            self.delayed = leg
        else:
            self.send_ack(leg, b"", now)
            self.update()
        self.calls.user.alarms.cancel(self)
        self.calls.watch_session(self, response, 0, now)
        self.to_caller(response, body, now)

    def _dialog(self, response: Response) -> Dialog:
        """The dialog of a response to our INVITE: known by its To tag, or new (RFC 3261 12.1.2)."""
        leg = self.called
        assert leg.invite is not None
        dialog = leg.forks.get(response.to_tag or "")
        if dialog is None:
            dialog = Dialog.uac(leg.invite, response)
            leg.fork(dialog)
            self.calls.dialogs.add(self, leg, dialog)
        else:
            dialog.receive_response("INVITE", response)
            leg.dialog = dialog
        return dialog

    def _described(self, response: Response, role: Role) -> bytes:
        """The body for the caller. After a reliable answer, descriptions of that fork repeat it (RFC 3261 13.2.1)."""
        body = description_of(response)
        if not body:
            return response.body
        if self.settled is None:
            passed = self.negotiation.pass_on(1, body, role)
            self.settled = response.to_tag if role is Role.REPLY else None
            return passed
        if self.settled != response.to_tag and self.body:
            self.negotiation.answer_again(body)
        return self.negotiation.sides[0].sent

    def to_caller(self, response: Response, body: bytes, now: float, rseq: int | None = None) -> None:
        leg = self.caller
        assert leg.dialog is not None
        leg.dialog.responded("INVITE", response.status)
        answer = build_response(response, self.request, self.called, leg, leg.dialog.local_tag, body)
        if rseq is not None:
            answer.headers.set("RSeq", str(rseq))
        self.calls.user.respond(self.server, answer, now)

    def lacks(self, need: Need, transcodes: bool) -> bool:
        """Whether what was reserved cannot do this."""
        return need > self.need or (transcodes and not self.transcodes)

    def check_need(self) -> None:
        """The answer may need more than was reserved: an RTP answer to an SRTP offer on IOS takes a transcoder."""
        session = self.negotiation.session
        if session and self.lacks(self.negotiation.need, session.differ):
            raise Refused("no-transcoder", "the answer needs a transcoder and none is reserved")

    def update(self) -> None:
        """Give the media engine what is agreed by now."""
        session = self.negotiation.session
        if session is not None and session is not self.told:
            self.told = session
            legs = self.renewal.keys.interim(session.legs) if self.renewal is not None else session.legs
            self.calls.emit(UpdateMedia(self.session, legs))

    def moved(self, moved: MediaMoved, now: float) -> None:
        """Another engine carries the media: it, and whoever hears us on SRTP, need new keys of ours."""
        if self.renewal is None:
            self.renewal = Renewal(self)
        self.renewal.start(now)

    def established(self, ack: Request, now: float) -> None:
        """The caller's ACK; with a delayed offer it carries the answer."""
        self.calls.connected(self)
        self.acknowledge(self.caller, ack, now)

    def acknowledge(self, leg: Leg, ack: Request, now: float) -> None:
        """An ACK came on `leg`: if the other leg's 2xx held an offer, its ACK goes out now with the answer."""
        waiting, self.delayed = self.delayed, None
        if waiting is None or waiting is leg:
            return
        body = description_of(ack)
        try:
            if not body:
                raise Refused("bad-sdp", "the ACK to an offer has no answer")
            body = self.negotiation.pass_on(leg.index, body, Role.REPLY)
            self.check_need()
        except (Refused, RemoteProtocolError) as error:
            self.send_ack(waiting, b"", now)
            self.receive(Input.GONE, cause_of(error), now)
            return
        self.send_ack(waiting, body, now)
        self.update()

    def send_ack(self, leg: Leg, body: bytes, now: float) -> None:
        assert leg.dialog is not None
        assert leg.invite is not None
        leg.ack = leg.dialog.ack(leg.invite.cseq.number)
        if body:
            leg.ack.headers.add("Content-Type", "application/sdp")
            leg.ack.body = body
        path = self.calls.path_of(leg)
        self.hunt.acknowledged(leg.invite, leg.ack, path)
        self.calls.user.ack(leg.ack, path, now)

    def refuse_caller(self, cause: str, now: float, text: str = "") -> None:
        """A row of the failure table to the caller, and one event for the operator."""
        leg = self.caller
        assert leg.dialog is not None
        self.cause = cause
        self.calls.user.refuse(self.server, self.request, cause, leg.host, now, leg.dialog.local_tag)
        self.calls.refused(self, cause, text)

    def answer_caller(self, status: int, now: float) -> None:
        assert self.caller.dialog is not None
        answer = response_to(self.request, status, to_tag=self.caller.dialog.local_tag)
        self.calls.user.respond(self.server, answer, now)

    def acknowledge_delayed(self, now: float) -> None:
        """A 2xx with an offer that nobody will answer still wants its ACK."""
        waiting, self.delayed = self.delayed, None
        if waiting is not None:
            self.send_ack(waiting, b"", now)

    def bye(self, leg: Leg, because: Request | None, now: float) -> None:
        """BYE on one leg, with what passes of the BYE that caused it, or our own reason."""
        if leg.dialog is None or leg.dialog.state is DialogState.TERMINATED:
            return
        request = leg.dialog.request("BYE")
        if because is not None:
            copy_into(because, request, self.legs[1 - leg.index], leg, b"")
        elif self.cause in FAILURES and FAILURES[self.cause].q850:
            request.headers.add("Reason", f"Q.850;cause={FAILURES[self.cause].q850}")
        self.calls.send(request, leg, now)

    def _finish(self, now: float) -> None:
        """Nothing is left to wait for: give everything back."""
        self.hunt.over(self)
        self.let_go(now)
        self.calls.ended(self, now)

    def let_go(self, now: float) -> None:
        """Nothing passes any more: media back, an end to what is on its way (RFC 3261 15.1.2)."""
        self.calls.user.alarms.cancel(self)
        self.calls.user.alarms.cancel((self, "session"))
        for passing in list(self.pending):
            passing.close(now)
        if self.renewal is not None:
            self.renewal.close(now)
        if self.session:
            self.calls.emit(ReleaseMedia(self.session))
            self.calls.media_released(self)
            self.session = 0


Action = Callable[[Call, Any, float], None]

TRANSITIONS: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.RESERVING, Input.RESERVED): (Call.invite, State.CALLING),
    (State.RESERVING, Input.REFUSED): (ending.refuse, State.ENDED),
    (State.RESERVING, Input.CANCEL): (ending.cancel, State.ENDED),
    (State.RESERVING, Input.LIMIT): (ending.limit, State.ENDED),
    (State.RESERVING, Input.FAIL): (ending.give_up, State.ENDED),
    (State.CALLING, Input.PROVISIONAL): (Call.ring, State.CALLING),
    (State.CALLING, Input.ANSWER): (Call.answer, State.ANSWERED),
    (State.CALLING, Input.REJECT): (ending.reject, State.ENDED),
    (State.CALLING, Input.CANCEL): (ending.cancel, State.GIVING_UP),
    (State.CALLING, Input.BYE): (ending.hang_up_early, State.GIVING_UP),
    (State.CALLING, Input.CALLED_BYE): (ending.called_left, State.GIVING_UP),
    (State.CALLING, Input.MEDIA_LOST): (ending.lost_early, State.GIVING_UP),
    (State.CALLING, Input.MEDIA_MOVED): (ending.lost_early, State.GIVING_UP),  # a preview has shown the key to its peer
    (State.CALLING, Input.LIMIT): (ending.limit, State.GIVING_UP),
    (State.CALLING, Input.GONE): (ending.gone_early, State.GIVING_UP),
    (State.CALLING, Input.FAIL): (ending.give_up, State.ENDED),
    (State.CALLING, Input.GIVE_UP): (ending.give_up, State.GIVING_UP),
    (State.ANSWERED, Input.ACK): (Call.established, State.UP),
    (State.ANSWERED, Input.FAIL): (ending.give_up, State.ENDED),
    (State.ANSWERED, Input.BYE): (ending.hang_up, State.ENDED),
    (State.ANSWERED, Input.CALLED_BYE): (ending.hang_up_unacknowledged, State.CLOSING),
    (State.ANSWERED, Input.NO_ACK): (ending.end_both, State.ENDED),
    (State.ANSWERED, Input.GONE): (ending.end_called, State.CLOSING),
    (State.ANSWERED, Input.MEDIA_LOST): (ending.end_called, State.CLOSING),
    (State.ANSWERED, Input.MEDIA_MOVED): (Call.moved, State.ANSWERED),
    (State.ANSWERED, Input.LIMIT): (ending.end_called, State.CLOSING),
    (State.UP, Input.BYE): (ending.hang_up, State.ENDED),
    (State.UP, Input.CALLED_BYE): (ending.hang_up, State.ENDED),
    (State.UP, Input.NO_ACK): (ending.end_both, State.ENDED),
    (State.UP, Input.GONE): (ending.end_both, State.ENDED),
    (State.UP, Input.MEDIA_LOST): (ending.end_both, State.ENDED),
    (State.UP, Input.MEDIA_MOVED): (Call.moved, State.UP),
    (State.UP, Input.LIMIT): (ending.end_both, State.ENDED),
    (State.GIVING_UP, Input.PROVISIONAL): (ending.nothing, State.GIVING_UP),
    (State.GIVING_UP, Input.ANSWER): (ending.unwanted, State.ENDED),
    (State.GIVING_UP, Input.REJECT): (ending.nothing, State.ENDED),
    (State.GIVING_UP, Input.BYE): (ending.late_bye, State.GIVING_UP),
    (State.GIVING_UP, Input.CALLED_BYE): (ending.late_bye, State.GIVING_UP),
    (State.GIVING_UP, Input.LIMIT): (ending.nothing, State.GIVING_UP),
    (State.CLOSING, Input.ACK): (ending.end_caller, State.ENDED),
    (State.CLOSING, Input.NO_ACK): (ending.end_caller, State.ENDED),
    (State.CLOSING, Input.BYE): (ending.late_bye, State.ENDED),
    (State.CLOSING, Input.CALLED_BYE): (ending.late_bye, State.CLOSING),
    (State.CLOSING, Input.LIMIT): (ending.nothing, State.CLOSING),
}
