"""One INVITE dialog from one side: the call without its media.

A leg knows dialogs, ACK, BYE, CANCEL and re-INVITE, and treats bodies as bytes. What the bodies mean is its user's:
a phone puts a voice behind it, the virtual CUCM joins two legs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import Enum, auto
from typing import Protocol

from cubelab.agent.agent import Agent, NoAnswer, Pending
from cubelab.agent.credentials import Credentials
from cubelab.agent.requests import again
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.values import Path

SDP = "application/sdp"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY"


class State(Enum):
    IDLE = auto()
    CALLING = auto()  # our INVITE is out
    RINGING = auto()  # their INVITE waits for our answer
    UP = auto()
    ENDED = auto()


class LegUser(Protocol):
    def progressed(self, leg: Leg, response: Response) -> None:
        """A provisional answer to our INVITE."""

    def established(self, leg: Leg, response: Response) -> None:
        """The 2xx to our INVITE, once; the leg has sent its ACK."""

    def acked(self, leg: Leg, request: Request) -> None:
        """The ACK to our 2xx, once."""

    def asked(self, leg: Leg, key: ServerKey, request: Request) -> None:
        """A request in the dialog (re-INVITE, UPDATE, INFO...): answer it with `respond`. BYE is done already."""

    def ended(self, leg: Leg, cause: str) -> None:
        """The leg is over; once, whoever ended it."""


class Leg:
    def __init__(
        self, agent: Agent, user: LegUser, contact: str, path: Path, credentials: Credentials | None = None
    ) -> None:
        self.agent = agent
        self.contact = contact  # NameAddr text for our Contact
        self.path = path  # where the dialog's requests go
        self.state = State.IDLE
        self.dialog: Dialog | None = None
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()  # the cause
        self.status = 0  # the final status of the INVITE
        self.warning = ""  # of that final response
        self.reason = ""  # its Reason header (RFC 3326)
        self.local_tag = agent.tokens.tag()
        self.user = user
        self._pending: Pending | None = None
        self._invite: tuple[ServerKey, Request] | None = None
        self._request: Request | None = None  # our INVITE
        self._credentials = credentials

    # As the caller.

    def call(self, invite: Request) -> Pending:
        """Send an INVITE that is ready but for its Via; its From tag must be `local_tag`."""
        self.state = State.CALLING
        self._request = invite
        if self._credentials:
            self._credentials.authorise(invite)
        self._pending = self.agent.start(invite, self.path, self._response)
        self._pending.final.add_done_callback(self._concluded)
        return self._pending

    def _response(self, response: Response) -> None:
        if response.status >= 300 or response.status == 100:
            return
        if response.status < 200:
            self.user.progressed(self, response)
            return
        if self.state is State.CALLING:
            self.status = response.status
            self.state = State.UP
            self._send_ack(response)
            self.user.established(self, response)
        else:
            self._send_ack(response)  # retransmitted, or the call was given up meanwhile

    def _send_ack(self, response: Response) -> None:
        if self.dialog is None and self._request is not None:
            self.dialog = Dialog.uac(self._request, response)
        if self.dialog is not None:
            self.agent.ack(self.dialog.ack(response.cseq.number), self.path)

    def _concluded(self, final: asyncio.Future[Response]) -> None:
        """The INVITE is over without a dialog: a failure answer, or none at all."""
        if final.cancelled() or self.state is not State.CALLING:
            return
        error = final.exception()
        if error is not None:
            self.end(str(error))
        elif final.result().status >= 300:
            self._refused(final.result())

    def _refused(self, response: Response) -> None:
        """A failure answer; a challenge that we can answer is none."""
        request = self._request
        if response.status in (401, 407) and self._credentials and request is not None:
            renewed = again(request, request.cseq.number + 1)
            if self._credentials.answer(renewed, response):
                credentials, self._credentials = self._credentials, None
                self.call(renewed)
                self._credentials = credentials
                return
        self.status = response.status
        self.warning = response.headers.get("Warning") or ""
        self.reason = response.headers.get("Reason") or ""
        self.end(f"{response.status} {response.reason}")

    def cancel(self) -> None:
        if self._pending and self.state is State.CALLING:
            self._pending.cancel()

    # As the called.

    def incoming(self, key: ServerKey, request: Request) -> None:
        """Take an INVITE: 100 goes out at once."""
        self._invite = (key, request)
        self.state = State.RINGING
        self.agent.respond(key, response_to(request, 100))

    def answer(self, status: int, body: bytes = b"", reason: str | None = None) -> None:
        """Answer the INVITE that waits: 1xx as often as wanted, then one final."""
        if self._invite is None or self.state is not State.RINGING:
            return
        key, request = self._invite
        self.agent.respond(key, self._response_to(request, status, body, reason))
        if status < 200:
            return
        self.status = status
        if status < 300:
            self.dialog = Dialog.uas(request, self.local_tag, self.contact)
            self.dialog.responded("INVITE", status)
            self.state = State.UP
        else:
            self.end(f"{status} {reason or ''}".strip())

    def respond(self, key: ServerKey, request: Request, status: int, body: bytes = b"") -> None:
        """Answer a request in the dialog."""
        self.agent.respond(key, self._response_to(request, status, body, None))

    def _response_to(self, request: Request, status: int, body: bytes, reason: str | None) -> Response:
        response = response_to(request, status, reason, to_tag=self.local_tag if status > 100 else None)
        if status < 300 and request.method in ("INVITE", "UPDATE", "SUBSCRIBE", "REFER"):
            response.headers.add("Contact", self.contact)
        if request.method in ("INVITE", "OPTIONS"):
            response.headers.add("Allow", ALLOW)
        if body:
            response.headers.add("Content-Type", SDP)
            response.body = body
        return response

    # In the dialog.

    def request_arrived(self, key: ServerKey, request: Request) -> None:
        """A request whose dialog is ours."""
        if self.dialog is None:
            self.agent.refuse(key, request, 481)
            return
        try:
            self.dialog.receive_request(request)
        except RemoteProtocolError as error:
            self.agent.refuse(key, request, error.status, error.reason)
            return
        if request.method == "BYE":
            self.respond(key, request, 200)
            self.end("BYE from the far end")
        else:
            self.user.asked(self, key, request)

    def ack_arrived(self, request: Request) -> None:
        if self._invite is not None and self.state is State.UP:
            self._invite = None
            self.user.acked(self, request)

    def unacked(self) -> None:
        """Nobody acknowledged our final answer: a call that is up ends with a BYE (RFC 3261 13.3.1.4)."""
        if self.state is State.UP and self.dialog is not None:
            self.agent.start(self.dialog.request("BYE"), self.path)
            self.end("no ACK")

    def cancelled(self) -> None:
        """Their CANCEL came (and has its 200)."""
        self.answer(487)

    async def ask(
        self, method: str, body: bytes = b"", content_type: str = SDP, headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        """A request in the dialog and its final response; a re-INVITE is acknowledged. NoAnswer, RuntimeError."""
        if self.dialog is None or self.state is not State.UP:
            raise RuntimeError("the call is not up")
        request = self.dialog.request(
            method,
            contact=self.contact if method in ("INVITE", "UPDATE") else None,
            body=body,
            content_type=content_type if body else "",
            headers=headers,
        )
        response = await self.agent.ask(request, self.path)
        self.dialog.receive_response(method, response)
        if method == "INVITE" and response.status < 300:
            self.agent.ack(self.dialog.ack(response.cseq.number), self.path)
        return response

    async def bye(self) -> None:
        """End the call politely. A far end that does not answer does not keep us."""
        if self.state is not State.UP or self.dialog is None:
            return
        request = self.dialog.request("BYE")
        self.end("BYE from this end")
        try:
            await self.agent.ask(request, self.path)
        except NoAnswer:
            self.agent.troubles.append("BYE without an answer")

    def end(self, cause: str) -> None:
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        if self._pending:
            self.agent.forget(self._pending)
        if not self.over.done():
            self.over.set_result(cause)
        self.user.ended(self, cause)
