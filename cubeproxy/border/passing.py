"""In-dialog requests: what one leg's peer asks is asked on the other leg, and the answer comes back.

Every method takes this way (re-INVITE, UPDATE, PRACK, INFO, REFER, NOTIFY, MESSAGE, OPTIONS, ...);
BYE alone is answered at once. A description in a request or an answer goes through the negotiation,
any other body passes as it is.
"""

from __future__ import annotations

import re

from cubeproxy.border.building import build_response, copy_into, description_of
from cubeproxy.border.call import Call
from cubeproxy.border.failures import FAILURES, apply
from cubeproxy.border.leg import Leg
from cubeproxy.border.negotiation import Refused, cause_of
from cubeproxy.border.offer_answer import State as Agreement
from cubeproxy.border.phases import Input, State
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import DialogState
from cubeproxy.protocols.sip.layer import ClientKey, ServerKey
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.values import Side

TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
DIALOG_ENDING = frozenset({408, 481})  # RFC 3261 12.2.1.2

_RACK = re.compile(r"\s*([0-9]{1,10})\s+([0-9]{1,10})\s+(\S+)\s*", re.ASCII)


class Passing:
    """One request on its way to the other leg; the waiter of its answer."""

    __slots__ = ("_client", "_key", "_offered", "call", "leg", "other", "request")

    def __init__(self, call: Call, leg: Leg, key: ServerKey, request: Request) -> None:
        self.call = call
        self.leg = leg
        self.other = call.legs[1 - leg.index]
        self.request = request
        self._key = key
        self._client: ClientKey | None = None
        self._offered = False  # this transaction carries the open offer

    def start(self, now: float) -> None:
        """Ask on the other leg. Raises Refused or RemoteProtocolError with what to answer instead."""
        call, other, request = self.call, self.other, self.request
        if other.dialog is None or other.dialog.state is DialogState.TERMINATED or call.state >= State.GIVING_UP:
            raise RemoteProtocolError("the other leg has no dialog", 481)
        if request.method == "INVITE":
            self._only_one()
            call.calls.open_invite(self.leg, self._key, self)
            call.calls.user.respond(self._key, response_to(request, 100), now)
        body = self._translate(request)
        outgoing = other.dialog.request(
            request.method, contact=other.contact if request.method in TARGET_REFRESH else None
        )
        copy_into(request, outgoing, self.leg, other, body)
        call.calls.dialogs.translate(outgoing)
        self._map_rack(outgoing)
        if request.method == "INVITE":
            other.invite = outgoing
        self._client = call.calls.user.request(outgoing, call.calls.path_of(other), self, now)
        if request.method == "INVITE":
            other.client = self._client

    def _only_one(self) -> None:
        """One INVITE at a time in both directions (RFC 3261 14.2, 14.1)."""
        call = self.call
        if call.state is not State.UP or call.delayed is not None:
            raise RemoteProtocolError("an INVITE is open", 491)
        if call.reinviting is not None:
            raise RemoteProtocolError("an INVITE is open", 500 if call.reinviting is self.leg else 491)
        call.reinviting = self.leg

    def _translate(self, message: Message) -> bytes:
        """The body for the other leg."""
        body = description_of(message)
        if not body:
            return message.body
        source = self.leg if message is self.request else self.other
        state = self.call.negotiation.state
        stable = state.state is Agreement.STABLE
        out = self.call.negotiation.pass_on(source.index, body)
        if stable:
            self._offered = True
        return out

    def _map_rack(self, outgoing: Request) -> None:
        """RAck names the INVITE of this leg; the other leg's has another number (RFC 3262 7.2)."""
        match = _RACK.fullmatch(self.request.headers.get("RAck") or "")
        if match and self.other.invite is not None:
            outgoing.headers.set("RAck", f"{match[1]} {self.other.invite.cseq.number} {match[3]}")

    def cancel(self, now: float) -> None:
        """The re-INVITE was cancelled; its 487 comes back from the other leg."""
        if self._client is not None:
            self.call.calls.user.cancel(self._client, now)

    # --- the answer -----------------------------------------------------------------------------

    def response(self, response: Response, now: float) -> None:
        status = response.status
        if self.call.state is State.ENDED:
            self._after_the_end(response, now)
        elif status < 200:
            if status > 100 and self.request.method == "INVITE":
                self._answer(response, response.body if not description_of(response) else b"", now)
        elif status < 300:
            self._succeeded(response, now)
        else:
            self._declined(response, now)

    def _after_the_end(self, response: Response, now: float) -> None:
        """A 2xx to a re-INVITE of an ended call still wants its ACK (RFC 3261 13.2.2.4)."""
        dialog, invite = self.other.dialog, self.other.invite
        if response.cseq.method == "INVITE" and 200 <= response.status < 300 and dialog and invite:
            self.call.calls.user.ack(dialog.ack(response.cseq.number), self.call.calls.path_of(self.other), now)
        elif response.status >= 300 or response.cseq.method != "INVITE":
            self._close(now)

    def _succeeded(self, response: Response, now: float) -> None:
        call, other = self.call, self.other
        assert other.dialog is not None
        invite = self.request.method == "INVITE"
        if invite and call.reinviting is not self.leg:  # answered before: the same 2xx again
            if other.ack is not None:
                call.calls.user.ack(other.ack, call.calls.path_of(other), now)
            return
        other.dialog.receive_response(self.request.method, response)
        try:
            body = self._translate(response)
            if self._offered or invite:
                call.negotiation.concluded(ok=True)
            call.check_need()
        except (Refused, RemoteProtocolError) as error:
            if invite:
                call.send_ack(other, b"", now)
            self._failed_with(error, now)
            return
        if self.request.method in ("INVITE", "UPDATE"):
            call.calls.watch_session(call, response, now)
        if invite:
            call.reinviting = None
            if call.negotiation.state.state is Agreement.OFFERED:
                call.delayed = other
            else:
                call.send_ack(other, b"", now)
        call.update(now)
        self._answer(response, body, now)

    def _declined(self, response: Response, now: float) -> None:
        call = self.call
        self._revert()
        if self.other.dialog is not None:
            self.other.dialog.receive_response(self.request.method, response)
        if response.status in (401, 407) and self.other.side is Side.ACCESS:
            self._refuse("challenged", now)
        else:
            self._answer(response, response.body, now)
        if response.status in DIALOG_ENDING:
            call.cause = str(response.status)
            call.receive(Input.GONE, None, now)

    def failed(self, cause: str, now: float) -> None:
        """No answer: 408, and for the dialog the same as a 408 that came (RFC 3261 12.2.1.2)."""
        if self.call.state is State.ENDED:
            self._close(now)
            return
        self._revert()
        if self.other.dialog is not None and cause == "timeout":
            self.other.dialog.lost()
        self._refuse("no-answer" if cause == "timeout" else "phone-away", now)
        self.call.cause = cause
        if cause == "timeout":
            self.call.receive(Input.GONE, None, now)

    def _revert(self) -> None:
        if self._offered:
            self.call.negotiation.concluded(ok=False)
        if self.request.method == "INVITE":
            self.call.reinviting = None

    def _failed_with(self, error: Refused | RemoteProtocolError, now: float) -> None:
        if self.request.method == "INVITE":
            self.call.reinviting = None
        refuse_in_dialog(self.call, self.leg, self._key, self.request, error, now)

    def _answer(self, response: Response, body: bytes, now: float) -> None:
        assert self.leg.dialog is not None
        answer = build_response(response, self.request, self.other, self.leg, self.leg.dialog.local_tag, body)
        self.call.calls.user.respond(self._key, answer, now)

    def _refuse(self, cause: str, now: float) -> None:
        self.call.calls.user.refuse(self._key, self.request, cause, self.leg.host, now)

    def _close(self, now: float) -> None:
        """The call ended while this was on its way: end the transaction."""
        self.call.calls.user.respond(self._key, response_to(self.request, 487), now)


def refuse_in_dialog(
    call: Call, leg: Leg, key: ServerKey, request: Request, error: Refused | RemoteProtocolError, now: float
) -> None:
    """Answer an in-dialog request ourselves. A refused re-INVITE leaves the session as it was (RFC 3261 14.2)."""
    if request.method == "INVITE" and call.reinviting is leg:
        call.reinviting = None
    if isinstance(error, RemoteProtocolError) and error.status not in (400, 488):
        response = response_to(request, error.status, error.reason)
        if error.status == 500:
            response.headers.add("Retry-After", "5")
        call.calls.user.respond(key, response, now)
        return
    call.calls.user.respond(
        key, apply(response_to(request, FAILURES[cause_of(error)].status), FAILURES[cause_of(error)], leg.host), now
    )
