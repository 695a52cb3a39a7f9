"""Two legs joined by the virtual CUCM: signalling passes through it, media goes from end to end.

With a wire, each description gets the address of one link in the place of its own, so that all that the two ends
send each other passes the tap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from cubelab.agent.agent import NoAnswer
from cubelab.agent.leg import SDP, Leg, State
from cubelab.wire.wire import Link, Wire
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdp import SessionDescription
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response


class Bridge:
    """LegUser of both legs. `caller` has sent us an INVITE, `callee` gets ours."""

    def __init__(self, wire: Wire | None) -> None:
        self.caller: Leg
        self.callee: Leg
        self._wire = wire
        self._link: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if self._wire:
            self._link = await self._wire.link()

    def through(self, body: bytes, *, from_caller: bool) -> bytes:
        """A description on its way to the other leg; what is no SDP with audio passes as it is."""
        if not self._link or not body:
            return body
        try:
            description = SessionDescription.parse(body)
            media = description.audio
            if media is None:
                return body
            address = media.address(description)
        except RemoteProtocolError:
            return body
        if address is None:
            return body
        if from_caller:
            self._link.inner = address
        else:
            self._link.outer = address
        media.set_address(self._link.address)
        return description.serialise()

    def other(self, leg: Leg) -> Leg:
        return self.callee if leg is self.caller else self.caller

    # LegUser.

    def progressed(self, leg: Leg, response: Response) -> None:
        self.caller.answer(response.status, self.through(response.body, from_caller=False), response.reason)

    def established(self, leg: Leg, response: Response) -> None:
        if self.caller.state is not State.RINGING:  # given up while the 200 was on its way
            self._spawn(leg.bye())
            return
        self.caller.answer(200, self.through(response.body, from_caller=False))

    def acked(self, leg: Leg, request: Request) -> None:
        """The callee's ACK went out with its 200."""

    def asked(self, leg: Leg, key: ServerKey, request: Request) -> None:
        self._spawn(self._relay(leg, key, request))

    async def _relay(self, leg: Leg, key: ServerKey, request: Request) -> None:
        """A request in one dialog becomes the same request in the other; its answer comes back."""
        other, from_caller = self.other(leg), leg is self.caller
        body = request.body
        is_sdp = request.content_type == SDP
        if is_sdp:
            body = self.through(body, from_caller=from_caller)
        content_type = request.headers.get("Content-Type") or SDP
        passed = [(name, value) for name, value in request.headers.items() if name in PASSED]
        try:
            response = await other.ask(request.method, body, content_type, passed)
        except (NoAnswer, RuntimeError):
            leg.agent.refuse(key, request, 408)
            return
        answer = response.body
        if response.content_type == SDP:
            answer = self.through(answer, from_caller=not from_caller)
        if leg.state is State.UP:
            leg.respond(key, request, response.status, answer)

    def ended(self, leg: Leg, cause: str) -> None:
        other = self.other(leg)
        if leg is self.callee and other.state is State.RINGING:
            other.answer(leg.status if leg.status >= 300 else 480)
        elif other.state is State.CALLING:
            other.cancel()
        elif other.state is State.UP:
            self._spawn(other.bye())
        if self._link:
            self._link.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="bridge")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


PASSED = frozenset({"Event", "Subscription-State", "Refer-To", "Referred-By", "Info-Package", "Recv-Info", "RAck"})
