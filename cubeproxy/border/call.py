"""A call: two legs, one negotiation, one media session, and a table of what may happen when.

Only the INVITE that sets the call up is handled here; what is asked inside the dialogs later is
`passing`'s work, what is agreed is `negotiation`'s. Every transition stands in TRANSITIONS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cubeproxy.border.building import Route, build_response, description_of, hosts, pass_list
from cubeproxy.border.failures import FAILURES, apply
from cubeproxy.border.hunt import Hunt
from cubeproxy.border.leg import Leg, next_hop
from cubeproxy.border.negotiation import Negotiation, Refused, cause_of
from cubeproxy.border.offer_answer import State as Agreement
from cubeproxy.border.phases import Input, State
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog, DialogState
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.values import (
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    Side,
    UpdateMedia,
)

if TYPE_CHECKING:
    from cubeproxy.border.calls import Calls

RING_LIMIT = 180.0  # s from the INVITE to its final answer (timer C, RFC 3261 16.6)


class Call:
    __slots__ = (
        "body", "calls", "cause", "connected_at", "delayed", "hunt", "legs", "name", "need", "negotiation",
        "reinviting", "request", "session", "started_at", "state", "ticket",
    )  # fmt: skip

    def __init__(self, calls: Calls, ticket: int, caller: Leg, called: Leg, routes: list[Route], now: float) -> None:
        assert caller.invite is not None
        self.calls = calls
        self.ticket = ticket
        self.name = f"{ticket:X}"
        self.legs = (caller, called)
        self.hunt = Hunt(self, routes)
        self.request = caller.invite
        self.body = description_of(caller.invite)
        self.negotiation = Negotiation(caller.peer, called.peer, calls.plan.personality, calls.octets)
        self.need = Need.RELAY
        self.state = State.RESERVING
        self.session = 0  # media session, 0 until reserved
        self.delayed: Leg | None = None  # the leg whose 2xx carried an offer and waits for our ACK
        self.reinviting: Leg | None = None  # the leg whose peer's re-INVITE is open
        self.cause = ""
        self.started_at = now
        self.connected_at: float | None = None

    @property
    def caller(self) -> Leg:
        return self.legs[0]

    @property
    def called(self) -> Leg:
        return self.legs[1]

    def receive(self, event: Input, argument: Any, now: float) -> None:
        action, self.state = TRANSITIONS[self.state, event]
        action(self, argument, now)

    def start(self, now: float) -> None:
        """Ask for media. Raises Refused when the first offer already cannot be taken."""
        self.need = self.negotiation.expected_need(self.body)
        self.calls.emit(
            ReserveMedia(self.ticket, self.name, (self.caller.peer.media, self.called.peer.media), self.need)
        )
        self.calls.user.alarms.set(self, now + RING_LIMIT, lambda then: self.receive(Input.LIMIT, "no-answer", then))

    # --- the called leg's INVITE --------------------------------------------------------------

    def invite(self, reserved: MediaReserved, now: float) -> None:
        self.session = reserved.session
        self.negotiation.set_local(*reserved.local)
        self.hunt.next(now)

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

    def stray(self, invite: Request, response: Response, now: float) -> None:
        """A 2xx that is not the answer: the same again gets its ACK, any other a BYE (RFC 3261 13.2.2.4)."""
        leg = self.called
        if (
            leg.dialog is not None
            and leg.dialog.remote_tag == response.to_tag
            and leg.dialog.call_id == response.call_id
        ):
            if leg.ack is not None:
                self.calls.user.ack(leg.ack, next_hop(leg, self.calls.plan), now)
            return
        self._decline(invite, response, now)

    def _decline(self, invite: Request, response: Response, now: float) -> None:
        """ACK and BYE for a 2xx that nobody wants."""
        dialog = Dialog.uac(invite, response)
        path = self.called.path
        self.calls.user.ack(dialog.ack(invite.cseq.number), path, now)
        self.calls.send_bye(dialog, path, now)

    # --- actions: setting up ------------------------------------------------------------------

    def ring(self, response: Response, now: float) -> None:
        """18x to the caller; a description in it is an answer, a preview unless the response is reliable (RFC 3262)."""
        if not response.to_tag:
            self._to_caller(response, b"", now)
            return
        try:
            self._dialog(response)
            body = description_of(response)
            if body:
                body = self.negotiation.pass_on(1, body, preview=response.headers.get("RSeq") is None)
        except (Refused, RemoteProtocolError) as error:
            self.give_up(cause_of(error), now, str(error))
            return
        if body:
            self.update(now)
        self._to_caller(response, body or self._opaque(response), now)

    def answer(self, response: Response, now: float) -> None:
        """2xx from the called side."""
        leg = self.called
        try:
            dialog = self._dialog(response)
            body = description_of(response)
            if body:
                body = self.negotiation.pass_on(1, body)
            self.negotiation.concluded(ok=True)
            if self.negotiation.state.state is Agreement.STABLE:
                self.check_need()
        except (Refused, RemoteProtocolError) as error:
            assert leg.invite is not None
            self._decline(leg.invite, response, now)
            self.state = State.ENDED
            self._refuse(cause_of(error), now, str(error))
            self.finish(None, now)
            return
        assert leg.invite is not None
        self.calls.dialogs.answered(self, leg, dialog)
        self.connected_at = now
        if self.negotiation.state.state is Agreement.OFFERED:
            self.delayed = leg
        else:
            leg.ack = dialog.ack(leg.invite.cseq.number)
            self.calls.user.ack(leg.ack, next_hop(leg, self.calls.plan), now)
            self.update(now)
        self.calls.user.alarms.cancel(self)
        self.calls.watch_session(self, response, now)
        self._to_caller(response, body or self._opaque(response), now)

    def _opaque(self, message: Message) -> bytes:
        """A body that is no session description passes as it is."""
        return b"" if description_of(message) else message.body

    def _to_caller(self, response: Response, body: bytes, now: float) -> None:
        leg = self.caller
        assert leg.server is not None
        assert leg.dialog is not None
        leg.dialog.responded("INVITE", response.status)
        answer = build_response(response, self.request, self.called, leg, leg.dialog.local_tag, body)
        self.calls.user.respond(leg.server, answer, now)

    def check_need(self) -> None:
        """The answer may need more than was reserved: an RTP answer to an SRTP offer on IOS takes a transcoder."""
        if self.negotiation.session and self.negotiation.need > self.need:
            raise Refused("no-transcoder", "the answer needs a transcoder and none is reserved")

    def update(self, now: float) -> None:
        """Give the media engine what is agreed by now."""
        session = self.negotiation.session
        if session is not None and self.session:
            self.calls.emit(UpdateMedia(self.session, session.legs))

    def established(self, ack: Request, now: float) -> None:
        """The caller's ACK; with a delayed offer it carries the answer."""
        self.calls.connected(self, now)
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
            body = self.negotiation.pass_on(leg.index, body)
            self.check_need()
        except (Refused, RemoteProtocolError) as error:
            body = b""
            self.cause = cause_of(error)
        self.send_ack(waiting, body, now)
        if body:
            self.update(now)
        else:
            self.receive(Input.GONE, None, now)

    def send_ack(self, leg: Leg, body: bytes, now: float) -> None:
        assert leg.dialog is not None
        assert leg.invite is not None
        leg.ack = leg.dialog.ack(leg.invite.cseq.number)
        if body:
            leg.ack.headers.add("Content-Type", "application/sdp")
            leg.ack.body = body
        self.calls.user.ack(leg.ack, next_hop(leg, self.calls.plan), now)

    # --- actions: not setting up ----------------------------------------------------------------

    def refuse(self, refused: MediaRefused, now: float) -> None:
        self._refuse(refused.cause, now, refused.text)
        self.finish(None, now)

    def reject(self, response: Response | None, now: float) -> None:
        """The called side's failure is the caller's; where there is none, say which side was silent."""
        if response is None:
            silent = "no-answer" if self.called.side is Side.ACCESS else "all-nodes-down"
            self._refuse(silent, now)
        elif response.status in (401, 407) and self.called.side is Side.ACCESS:
            self._refuse("challenged", now)
        else:
            self.cause = str(response.status)
            self._to_caller(response, self._opaque(response), now)
        self.finish(None, now)

    def cancel(self, cancel: Request | None, now: float) -> None:
        """The caller gave up."""
        self.cause = "cancelled"
        self._answer_caller(487, now)
        self._drop_called(now)

    def cancel_early(self, cancel: Request | None, now: float) -> None:
        self.cause = "cancelled"
        self._answer_caller(487, now)
        self.finish(None, now)

    def give_up(self, cause: str, now: float, text: str = "") -> None:
        """We end the attempt: a failure to the caller, CANCEL to the called side."""
        self.state = State.GIVING_UP
        self._refuse(cause, now, text)
        self._drop_called(now)

    def fail(self, cause: str, now: float, text: str = "") -> None:
        """The attempt cannot be made at all."""
        self.state = State.ENDED
        self._refuse(cause, now, text)
        self.finish(None, now)

    def limit(self, cause: str, now: float) -> None:
        self._refuse(cause, now)
        self._drop_called(now)

    def limit_early(self, cause: str, now: float) -> None:
        self._refuse(cause, now)
        self.finish(None, now)

    def lost_early(self, lost: MediaLost, now: float) -> None:
        self._refuse("media-lost", now, lost.cause)
        self._drop_called(now)

    def _drop_called(self, now: float) -> None:
        self.calls.user.alarms.cancel(self)
        self.hunt.stop()
        self._release()
        if self.called.client is not None:
            self.calls.user.cancel(self.called.client, now)

    def _answer_caller(self, status: int, now: float) -> None:
        leg = self.caller
        assert leg.server is not None
        assert leg.dialog is not None
        self.calls.user.respond(leg.server, response_to(self.request, status, to_tag=leg.dialog.local_tag), now)

    def _refuse(self, cause: str, now: float, text: str = "") -> None:
        """A row of the failure table to the caller, and one event for the operator."""
        leg, failure = self.caller, FAILURES[cause]
        assert leg.server is not None
        assert leg.dialog is not None
        self.cause = cause
        response = response_to(self.request, failure.status, to_tag=leg.dialog.local_tag)
        self.calls.user.respond(leg.server, apply(response, failure, leg.host), now)
        self.calls.refused(self, cause, text)

    def unwanted(self, response: Response, now: float) -> None:
        """The 2xx overtook our CANCEL."""
        assert self.called.invite is not None
        self._decline(self.called.invite, response, now)
        self.finish(None, now)

    # --- actions: ending ------------------------------------------------------------------------

    def hang_up(self, source: tuple[Leg, ServerKey, Request], now: float) -> None:
        """A BYE came on one leg: 200 there, BYE on the other."""
        leg, key, request = source
        self.calls.user.respond(key, response_to(request, 200, to_tag=request.to_tag), now)
        self.cause = self.cause or "bye"
        if leg is self.caller and self.delayed is self.called:
            self.send_ack(self.called, b"", now)
        self.bye(self.legs[1 - leg.index], request, now)
        self.finish(None, now)

    def hang_up_early(self, source: tuple[Leg, ServerKey, Request], now: float) -> None:
        """A BYE of the caller in an early dialog (RFC 3261 15): as if it had cancelled."""
        _, key, request = source
        self.calls.user.respond(key, response_to(request, 200, to_tag=request.to_tag), now)
        self.cancel(None, now)

    def late_bye(self, source: tuple[Leg, ServerKey, Request], now: float) -> None:
        _, key, request = source
        self.calls.user.respond(key, response_to(request, 200, to_tag=request.to_tag), now)

    def end_both(self, argument: MediaLost | str | None, now: float) -> None:
        """We end the call: BYE on both legs."""
        if isinstance(argument, MediaLost):
            self.cause = "media-lost"
        elif argument:
            self.cause = argument
        if self.delayed is not None:
            self.send_ack(self.delayed, b"", now)
            self.delayed = None
        for leg in self.legs:
            self.bye(leg, None, now)
        self.finish(None, now)

    def bye(self, leg: Leg, because: Request | None, now: float) -> None:
        """BYE on one leg, with what passes of the BYE that caused it, or our own reason."""
        if leg.dialog is None or leg.dialog.state is DialogState.TERMINATED:
            return
        request = leg.dialog.request("BYE")
        if because is not None:
            other = self.legs[1 - leg.index]
            pass_list(leg, because).copy(because, request, hosts(other, leg))
        elif self.cause in FAILURES and FAILURES[self.cause].q850:
            request.headers.add("Reason", f"Q.850;cause={FAILURES[self.cause].q850}")
        self.calls.send(request, leg, now)

    def finish(self, argument: object, now: float) -> None:
        """Nothing is left to wait for: give everything back."""
        self.calls.user.alarms.cancel(self)
        self.hunt.stop()
        self._release()
        self.state = State.ENDED
        self.calls.ended(self, now)

    def _release(self) -> None:
        if self.session:
            self.calls.emit(ReleaseMedia(self.session))
            self.calls.media_released(self)
            self.session = 0

    def nothing(self, argument: object, now: float) -> None:
        pass


Action = Callable[[Call, Any, float], None]

TRANSITIONS: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.RESERVING, Input.RESERVED): (Call.invite, State.CALLING),
    (State.RESERVING, Input.REFUSED): (Call.refuse, State.ENDED),
    (State.RESERVING, Input.CANCEL): (Call.cancel_early, State.ENDED),
    (State.RESERVING, Input.LIMIT): (Call.limit_early, State.ENDED),
    (State.CALLING, Input.PROVISIONAL): (Call.ring, State.CALLING),
    (State.CALLING, Input.ANSWER): (Call.answer, State.ANSWERED),
    (State.CALLING, Input.REJECT): (Call.reject, State.ENDED),
    (State.CALLING, Input.CANCEL): (Call.cancel, State.GIVING_UP),
    (State.CALLING, Input.BYE): (Call.hang_up_early, State.GIVING_UP),
    (State.CALLING, Input.MEDIA_LOST): (Call.lost_early, State.GIVING_UP),
    (State.CALLING, Input.LIMIT): (Call.limit, State.GIVING_UP),
    (State.CALLING, Input.GONE): (Call.nothing, State.CALLING),
    (State.ANSWERED, Input.ACK): (Call.established, State.UP),
    (State.ANSWERED, Input.CANCEL): (Call.nothing, State.ANSWERED),
    (State.ANSWERED, Input.BYE): (Call.hang_up, State.ENDED),
    (State.ANSWERED, Input.NO_ACK): (Call.end_both, State.ENDED),
    (State.ANSWERED, Input.GONE): (Call.end_both, State.ENDED),
    (State.ANSWERED, Input.MEDIA_LOST): (Call.end_both, State.ENDED),
    (State.ANSWERED, Input.LIMIT): (Call.end_both, State.ENDED),
    (State.UP, Input.BYE): (Call.hang_up, State.ENDED),
    (State.UP, Input.NO_ACK): (Call.end_both, State.ENDED),
    (State.UP, Input.GONE): (Call.end_both, State.ENDED),
    (State.UP, Input.MEDIA_LOST): (Call.end_both, State.ENDED),
    (State.UP, Input.LIMIT): (Call.end_both, State.ENDED),
    (State.GIVING_UP, Input.PROVISIONAL): (Call.nothing, State.GIVING_UP),
    (State.GIVING_UP, Input.ANSWER): (Call.unwanted, State.ENDED),
    (State.GIVING_UP, Input.REJECT): (Call.finish, State.ENDED),
    (State.GIVING_UP, Input.BYE): (Call.late_bye, State.GIVING_UP),
    (State.GIVING_UP, Input.LIMIT): (Call.nothing, State.GIVING_UP),
}
