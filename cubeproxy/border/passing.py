"""In-dialog requests: what one leg's peer asks is asked on the other leg, and the answer comes back.

Every method takes this way (re-INVITE, UPDATE, PRACK, INFO, REFER, NOTIFY, MESSAGE, OPTIONS, ...);
BYE alone is answered at once. A description in a request or an answer goes through the negotiation,
any other body passes as it is.
"""

from __future__ import annotations

from cubeproxy.border.building import build_response, copy_into, description_of
from cubeproxy.border.call import Call
from cubeproxy.border.descriptions import Refused
from cubeproxy.border.failures import SILENCE
from cubeproxy.border.leg import Leg
from cubeproxy.border.negotiation import answer_cause, cause_of
from cubeproxy.border.offer_answer import Input as Role
from cubeproxy.border.phases import Input, State
from cubeproxy.border.reliable import rack_of
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import TARGET_REFRESH, Dialog, DialogState
from cubeproxy.protocols.sip.layer import ClientKey, ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.values import Side

OFFERING = frozenset({"INVITE", "UPDATE"})  # a description in these requests is an offer, whatever else is open


class Passing:
    """One request on its way to the other leg; the waiter of its answer."""

    __slots__ = ("_client", "_dialog", "_done", "_invite", "_key", "_offered", "call", "leg", "other", "request")

    def __init__(self, call: Call, leg: Leg, key: ServerKey, request: Request) -> None:
        self.call = call
        self.leg = leg
        self.other = call.legs[1 - leg.index]
        self.request = request
        self._key = key
        self._invite = request.method == "INVITE"
        self._dialog: Dialog | None = None  # of the other leg
        self._client: ClientKey | None = None
        self._offered = False  # the request carries the open offer
        self._done = False  # it has its final answer

    def start(self, now: float) -> None:
        """Ask on the other leg, or answer why not."""
        self.call.pending.add(self)
        try:
            self._ask(now)
        except RemoteProtocolError as error:
            self._refuse_with(error, now)
        except Refused as error:
            self._refuse(error.cause, now)

    def _ask(self, now: float) -> None:
        call, other, request = self.call, self.other, self.request
        if self._invite:
            self._only_one()
            call.reinviting = self
            call.calls.open_invite(self.leg, self._key, request, self)
            call.calls.user.respond(self._key, response_to(request, 100), now)
        rack = self._rack()
        dialog = self._dialog = self._dialog or other.dialog
        if dialog is None or dialog.state is DialogState.TERMINATED or call.over:
            raise RemoteProtocolError("the other leg has no dialog", 481)
        body = self._translate(request)
        outgoing = dialog.request(request.method, contact=other.contact if request.method in TARGET_REFRESH else None)
        copy_into(request, outgoing, self.leg, other, body)
        call.calls.dialogs.translate(outgoing, self.leg)
        if rack:
            outgoing.headers.set("RAck", rack)
        if self._invite:
            other.invite = outgoing
        self._client = call.calls.user.request(outgoing, call.calls.path_of(other), self, now)

    def _only_one(self) -> None:
        """One INVITE at a time in both directions (RFC 3261 14.2, 14.1)."""
        call, open_one = self.call, self.call.reinviting
        if open_one is not None and open_one.leg is self.leg:
            raise RemoteProtocolError("an INVITE of the same side is open", 500)
        if open_one is not None or call.state is not State.UP or call.delayed is not None:
            raise RemoteProtocolError("an INVITE is open", 491)

    def _rack(self) -> str:
        """RAck as the other leg knows it, "" without one. It names an INVITE and a response (RFC 3262 7.2)."""
        found, invite = rack_of(self.request), self.other.invite
        if found is None or invite is None:
            return ""
        rseq, cseq, method = found
        if self.leg.index == 0 and cseq == self.call.request.cseq.number:
            origin = self.call.reliable.origin(rseq)
            if origin is None:
                raise RemoteProtocolError("PRACK for a response that was never sent", 481)
            tag, rseq = origin
            self._dialog = self.other.dialog_with(tag)
        return f"{rseq} {invite.cseq.number} {method}"

    def _translate(self, request: Request) -> bytes:
        """The request's body for the other leg."""
        body = description_of(request)
        if not body:
            return request.body
        negotiation = self.call.negotiation
        passed = negotiation.pass_on(self.leg.index, body, Role.REQUEST if request.method in OFFERING else Role.REPLY)
        self._offered = negotiation.state.owed_by(self.leg.index)
        return passed

    def cancel(self, now: float) -> None:
        """The re-INVITE was cancelled; its 487 comes back from the other leg."""
        if self._client is not None:
            self.call.calls.user.cancel(self._client, now)

    def close(self, now: float) -> None:
        """The call is over: nobody waits for the other leg any more (RFC 3261 15.1.2).

        A re-INVITE that rings there is cancelled, or its transaction would wait for an answer for ever.
        """
        if self._invite:
            self.cancel(now)
        self._finish(response_to(self.request, 487), now)

    def response(self, response: Response, now: float) -> None:
        if self._done:
            self._again(response, now)
        elif response.status < 200:
            if response.status > 100 and self._invite:
                self.call.calls.user.respond(self._key, self._built(response, _opaque(response)), now)
        elif response.status < 300:
            self._succeeded(response, now)
        else:
            self._declined(response, now)

    def failed(self, cause: str, now: float) -> None:
        """No answer. After a timeout the dialog is gone as after a 408 that came (RFC 3261 12.2.1.2)."""
        if self._done:
            return
        self._revert()
        self._refuse(SILENCE[self.other.side, cause], now)
        if self._dialog is not None and cause == "timeout":
            self._dialog.lost()
            self.call.receive(Input.GONE, cause, now)

    def _again(self, response: Response, now: float) -> None:
        """A 2xx to an INVITE comes again, or after the end of the call: it wants its ACK (RFC 3261 13.2.2.4)."""
        call, other = self.call, self.other
        if not self._invite or response.status // 100 != 2 or self._dialog is None or call.delayed is other:
            return
        number = response.cseq.number
        if other.ack is None or other.ack.cseq.number != number:
            other.ack = self._dialog.ack(number)
        call.calls.user.ack(other.ack, call.calls.path_of(other), now)

    def _succeeded(self, response: Response, now: float) -> None:
        call, other = self.call, self.other
        assert self._dialog is not None
        self._dialog.receive_response(self.request.method, response)
        try:
            body = self._answered(response)
        except (Refused, RemoteProtocolError) as error:
            if self._invite:
                call.send_ack(other, b"", now)
            self._refuse(answer_cause(error), now)
            return
        if self.request.method in OFFERING and call.state in (State.ANSWERED, State.UP):
            call.calls.watch_session(call, response, self.leg.index, now)
        if self._invite:
            if call.negotiation.state.owed_by(other.index):
                call.delayed = other
            else:
                call.send_ack(other, b"", now)
        call.update()
        self._finish(self._built(response, body), now)

    def _answered(self, response: Response) -> bytes:
        """The body of a 2xx for whoever asked."""
        negotiation, body = self.call.negotiation, description_of(response)
        passed = negotiation.pass_on(self.other.index, body, Role.REPLY) if body else response.body
        if self._offered and negotiation.state.owed_by(self.leg.index):
            negotiation.concluded(ok=False)
            raise Refused("bad-answer", "no description answers the offer")
        self.call.check_need()
        return passed

    def _declined(self, response: Response, now: float) -> None:
        assert self._dialog is not None
        self._revert()
        self._dialog.receive_response(self.request.method, response)
        if response.status in (401, 407) and self.other.side is Side.ACCESS:
            self._refuse("challenged", now)
        else:
            self._finish(self._built(response, response.body), now)
        if self._dialog.state is DialogState.TERMINATED:
            self.call.receive(Input.GONE, str(response.status), now)

    def _revert(self) -> None:
        if self._offered:
            self.call.negotiation.concluded(ok=False)

    def _built(self, response: Response, body: bytes) -> Response:
        assert self.leg.dialog is not None
        return build_response(response, self.request, self.other, self.leg, self.leg.dialog.local_tag, body)

    def _refuse(self, cause: str, now: float) -> None:
        self._finish(self.call.calls.user.refusal(self.request, cause, self.leg.host), now)

    def _refuse_with(self, error: RemoteProtocolError, now: float) -> None:
        """A refused re-INVITE leaves the session as it was (RFC 3261 14.2)."""
        if error.status in (400, 488):
            self._refuse(cause_of(error), now)
            return
        response = response_to(self.request, error.status, error.reason)
        if error.status == 500:
            response.headers.add("Retry-After", "5")
        self._finish(response, now)

    def _finish(self, response: Response, now: float) -> None:
        call = self.call
        self._done = True
        call.pending.discard(self)
        if call.reinviting is self:
            call.reinviting = None
        if self._invite and response.status >= 300:
            call.calls.close_invite(self.leg, self.request.cseq.number)
        call.calls.user.respond(self._key, response, now)


def _opaque(response: Response) -> bytes:
    """A provisional response to a re-INVITE previews no description."""
    return b"" if description_of(response) else response.body
