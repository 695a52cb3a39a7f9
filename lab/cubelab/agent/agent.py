"""A SIP user agent core on asyncio: the product's transports and transactions with `await` on top.

One agent is one phone, one CUCM node or one test peer. It owns the sockets, the transaction layer and its timer;
who uses it sees requests that arrive, and asks with `ask` (one final answer) or `start` (every answer, for INVITE).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.layer import (
    AckArrived,
    CancelArrived,
    ClientFailed,
    ClientKey,
    Output,
    RequestArrived,
    ResponseArrived,
    ServerExpired,
    ServerKey,
    TransactionLayer,
    Transmit,
)
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.sip.timers import Timers
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.values import Address, Event, Flow, Path, Transport
from cubeproxy.transport.sip import ClientChoice, SipTransport
from cubeproxy.transport.tls import TlsServer


def name_of(path: Path) -> str:
    """The far end of a path, for people."""
    host, port = path.remote if isinstance(path, Flow) else (path.host, path.port)
    return f"{host}:{port} ({path.transport.value})"


class NoAnswer(Exception):
    """A request ended without a final response. The text says what the network or the clock did."""


class AgentUser(Protocol):
    """Who stands behind an agent."""

    def request(self, key: ServerKey, request: Request, flow: Flow) -> None:
        """A new request; answer it through `Agent.respond`."""

    def acked(self, request: Request, flow: Flow) -> None:
        """An ACK for a 2xx."""

    def cancelled(self, invite_key: ServerKey) -> None:
        """An INVITE that arrived is cancelled: answer it with 487."""

    def unacked(self, key: ServerKey) -> None:
        """Our final answer to an INVITE was never acknowledged."""

    def closed(self, flow: Flow, cause: str) -> None:
        """A connection is gone."""


class Pending:
    """A request on its way. `final` resolves to the final response, or raises NoAnswer."""

    def __init__(self, agent: Agent, on_response: Callable[[Response], None] | None) -> None:
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.key: ClientKey | None = None
        self._agent = agent
        self._on_response = on_response

    def cancel(self) -> None:
        """CANCEL an INVITE; its final response (487, or a 2xx that overtook) still comes."""
        if self.key is not None and not self.final.done():
            self._agent.cancel(self.key)

    def take(self, response: Response) -> None:
        if self._on_response:
            self._on_response(response)
        if response.status >= 200 and not self.final.done():
            self.final.set_result(response)

    def fail(self, cause: str) -> None:
        if not self.final.done():
            self.final.set_exception(NoAnswer(cause))
            self.final.exception()  # nobody may be waiting any more


class Agent:
    """Transports, transactions and their clock. Implements the transport's SipHandler."""

    def __init__(self, user: AgentUser, *, tls: ClientChoice = None, timers: Timers | None = None) -> None:
        self.user = user
        self.tokens = Tokens()
        self.layer = TransactionLayer(timers or Timers(), self.tokens)
        self.events: list[Event] = []  # refused connections and the like
        self.troubles: list[str] = []  # why paths failed or flows closed, oldest first
        self._loop = asyncio.get_running_loop()
        self._transport = SipTransport(self, tls_client=tls)
        self._pending: dict[ClientKey, Pending] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def listen(self, transport: Transport, address: Address, tls: TlsServer | None = None) -> Address:
        return await self._transport.listen(transport, address, tls)

    async def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for pending in self._pending.values():
            pending.fail("the agent was closed")
        self._pending.clear()
        await self._transport.close()

    # What the user asks for.

    def start(self, request: Request, path: Path, on_response: Callable[[Response], None] | None = None) -> Pending:
        """Send a request. `on_response` sees every answer, each retransmitted 2xx of an INVITE included."""
        pending = Pending(self, on_response)
        pending.key, outputs = self.layer.request(request, path, self._loop.time())
        self._pending[pending.key] = pending
        self._carry_out(outputs)
        return pending

    async def ask(self, request: Request, path: Path) -> Response:
        """Send a request and wait for its final response. NoAnswer when there is none."""
        return await self.start(request, path).final

    def respond(self, key: ServerKey, response: Response) -> None:
        self._carry_out(self.layer.respond(key, response, self._loop.time()))

    def refuse(self, key: ServerKey, request: Request, status: int, reason: str | None = None) -> None:
        self.respond(key, response_to(request, status, reason, to_tag=request.to_tag or self.tokens.tag()))

    def ack(self, request: Request, path: Path) -> None:
        self._carry_out(self.layer.send_ack(request, path))

    def cancel(self, key: ClientKey) -> None:
        self._carry_out(self.layer.cancel(key, self._loop.time()))

    # What the transport tells (SipHandler).

    def opened(self, flow: Flow) -> None:
        """Nothing waits for this: a request that needs the flow is queued by the transport."""

    def received(self, flow: Flow, message: Request | Response) -> None:
        self._carry_out(self.layer.receive(message, flow, self._loop.time()))

    def malformed(self, flow: Flow, error: RemoteProtocolError, message: Message | None) -> None:
        self.troubles.append(f"malformed message from {name_of(flow)}: {error}")

    def closed(self, flow: Flow, cause: str) -> None:
        self.troubles.append(f"connection with {name_of(flow)} closed: {cause}")
        self._carry_out(self.layer.path_failed(flow, self._loop.time()))
        self.user.closed(flow, cause)

    def failed(self, path: Path, cause: str) -> None:
        self.troubles.append(f"{name_of(path)}: {cause}")
        self._carry_out(self.layer.path_failed(path, self._loop.time()))

    def refused(self, event: Event) -> None:
        self.events.append(event)
        self.troubles.append(event.text)

    # Effects and time.

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Transmit():
                    self._transport.send(output.path, output.message)
                case RequestArrived():
                    self.user.request(output.key, output.request, output.flow)
                case ResponseArrived():
                    self._answered(output.key, output.response)
                case ClientFailed():
                    self._unanswered(output.key, output.cause)
                case AckArrived():
                    self.user.acked(output.request, output.flow)
                case CancelArrived():
                    self.user.cancelled(output.invite_key)
                case ServerExpired():
                    self.user.unacked(output.key)
        self._arm()

    def _answered(self, key: ClientKey, response: Response) -> None:
        pending = self._pending.get(key)
        if pending is None:
            return
        if response.status >= 200 and not (response.status < 300 and key[1] == "INVITE"):
            del self._pending[key]
        pending.take(response)

    def _unanswered(self, key: ClientKey, cause: str) -> None:
        pending = self._pending.pop(key, None)
        if pending is not None:
            trouble = self.troubles[-1] if self.troubles and cause == "transport" else ""
            pending.fail(trouble or f"no answer ({cause})")

    def forget(self, pending: Pending) -> None:
        """The dialog of an INVITE is over: retransmitted 2xx need no ACK any more."""
        if pending.key is not None:
            self._pending.pop(pending.key, None)

    def _arm(self) -> None:
        deadline = self.layer.deadline
        if deadline is None or (self._timer is not None and self._due <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._carry_out(self.layer.timeout(self._loop.time()))
