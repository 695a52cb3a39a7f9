"""A call with a voice behind it: what a phone and the virtual CUCM's own endpoints do with a leg."""

from __future__ import annotations

import asyncio

from cubelab.agent.agent import NoAnswer
from cubelab.agent.leg import Leg, State
from cubelab.voice.negotiation import Negotiation, Session
from cubelab.voice.voice import Voice
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdp import Direction
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response


class CallFailed(Exception):
    """The call did not come up. `status` is the SIP status, 0 when there was no answer; `warning` and `reason` are
    the headers of that response, "" for none."""

    def __init__(self, text: str, status: int = 0, warning: str = "", reason: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.warning = warning
        self.reason = reason


class VoiceCall:
    """Implements LegUser. Made by its owner, which sends the INVITE through `leg` or lets it be answered."""

    def __init__(self, voice: Voice, negotiation: Negotiation) -> None:
        self.voice = voice
        self.negotiation = negotiation
        self.leg: Leg
        self.up: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self.progress: list[int] = []  # provisional statuses as they came
        self.trouble = ""
        self.rounds = 0  # completed exchanges of offer and answer
        self._offering = False  # our offer stands in a 2xx, its answer comes in the ACK

    @property
    def session(self) -> Session | None:
        return self.negotiation.session

    async def answered(self) -> Session:
        """Wait until the call is up. CallFailed says why it is not."""
        return await asyncio.shield(self.up)

    # What its owner does.

    def pick_up(self, offer: bytes) -> None:
        """Answer an INVITE that waits: 200 with an answer to `offer`, or with an offer of our own."""
        try:
            if offer:
                body = self.negotiation.answer(offer)
                self.leg.answer(200, body)
                self._agreed()
            else:
                self._offering = True
                self.leg.answer(200, self.negotiation.offer())
        except RemoteProtocolError as error:
            self.trouble = str(error)
            self.leg.answer(error.status)

    async def hold(self) -> None:
        """Re-INVITE with sendonly."""
        await self._renegotiate(Direction.SENDONLY)

    async def resume(self) -> None:
        await self._renegotiate(Direction.SENDRECV)

    async def _renegotiate(self, direction: Direction) -> None:
        response = await self.leg.ask("INVITE", self.negotiation.offer(direction))
        if response.status >= 300:
            raise CallFailed(f"{response.status} {response.reason} to a re-INVITE", response.status)
        self.negotiation.accept(response.body)
        self._agreed()

    async def hang_up(self) -> None:
        """BYE, or CANCEL while it rings. Returns when the leg is over and the far end has answered."""
        if self.leg.state is State.CALLING:
            self.leg.cancel()
            try:
                await self.answered()  # the answer may have overtaken the CANCEL
            except CallFailed:
                return
        elif self.leg.state is State.RINGING:
            self.leg.answer(603)
        await self.leg.bye()

    # LegUser.

    def progressed(self, leg: Leg, response: Response) -> None:
        self.progress.append(response.status)
        if response.body and not self.rounds:  # early media: the same answer comes again in the 2xx
            self._take_answer(response.body, early=True)

    def established(self, leg: Leg, response: Response) -> None:
        if not self._take_answer(response.body):
            self._give_up()

    def _take_answer(self, body: bytes, *, early: bool = False) -> bool:
        try:
            self.negotiation.accept(body)
        except RemoteProtocolError as error:
            self.trouble = str(error)
            return False
        self._agreed(early=early)
        return True

    def _give_up(self) -> None:
        task = asyncio.get_running_loop().create_task(self.leg.bye(), name="bye after a bad answer")
        self._task = task

    def _agreed(self, *, early: bool = False) -> None:
        session = self.negotiation.session
        if session is None:
            return
        self.rounds += 1
        self.voice.start(session)
        if not early and not self.up.done():
            self.up.set_result(session)

    def acked(self, leg: Leg, request: Request) -> None:
        if self._offering:
            self._offering = False
            if not self._take_answer(request.body):
                self._give_up()

    def asked(self, leg: Leg, key: ServerKey, request: Request) -> None:
        if request.method in ("INVITE", "UPDATE") and request.content_type == "application/sdp":
            try:
                body = self.negotiation.answer(request.body)
            except RemoteProtocolError as error:
                leg.agent.refuse(key, request, error.status, error.reason)
                return
            leg.respond(key, request, 200, body)
            self._agreed()
        elif request.method == "INVITE":
            self._offering = True
            leg.respond(key, request, 200, self.negotiation.offer())
        elif request.method in ("UPDATE", "INFO", "NOTIFY", "OPTIONS", "MESSAGE", "PRACK"):
            leg.respond(key, request, 200)
        else:
            leg.respond(key, request, 501)

    def ended(self, leg: Leg, cause: str) -> None:
        self.voice.close()
        if not self.up.done():
            self.up.set_exception(CallFailed(self.trouble or cause, leg.status, leg.warning, leg.reason))
            self.up.exception()  # nobody may be waiting


async def quiet(call: VoiceCall) -> None:
    """Hang up and let nothing come of it."""
    try:
        await call.hang_up()
    except (NoAnswer, RuntimeError):
        return
