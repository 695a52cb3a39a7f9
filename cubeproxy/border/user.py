"""The transaction user: what every part of the border sends and schedules through.

It owns the queue of effects (mutate first, drain once) and remembers who waits for which client
transaction, so that registrations, calls and keepalives never see each other's answers.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from cubeproxy.border.alarms import Alarms
from cubeproxy.border.effects import Effect
from cubeproxy.border.failures import FAILURES, apply
from cubeproxy.border.plan import Peer
from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.sip.layer import (
    ClientFailed,
    ClientKey,
    Output,
    ResponseArrived,
    ServerKey,
    TransactionLayer,
    Transmit,
)
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.sip.timers import Timers
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.values import Event, Flow, Path, Severity


class Waiter(Protocol):
    """Who sent a request and waits for what comes of it."""

    def response(self, response: Response, now: float) -> None:
        """A provisional or final response; a 2xx to INVITE comes again with every retransmission."""

    def failed(self, cause: str, now: float) -> None:
        """No final response: "timeout" (timer B or F) or "transport"."""


ACCEPTED_FOR = 64  # T1: how long an INVITE that got its 2xx may get it again (timer M, RFC 6026 7.2)


class TransactionUser:
    """`agent` is our Server header in refusals, `warnings` whether they say why, `undialled` our addresses from which
    no connection is ever made: a phone is reached on its own connection or not at all.
    """

    def __init__(
        self,
        tokens: Tokens,
        timers: Timers,
        *,
        agent: str = "",
        warnings: bool = True,
        undialled: frozenset[str] = frozenset(),
    ) -> None:
        self.layer = TransactionLayer(timers, tokens)
        self.tokens = tokens
        self._agent = agent
        self._warnings = warnings
        self._undialled = undialled
        self._lifetime = ACCEPTED_FOR * timers.t1  # s
        self._accepted: deque[tuple[float, ClientKey]] = deque()  # answered INVITEs, and until when they have a waiter
        self.alarms = Alarms()
        self.out: list[Effect] = []
        self.arrived: list[Output] = []  # what the layer has for the border itself
        self._waiters: dict[ClientKey, Waiter] = {}

    def request(self, request: Request, path: Path, waiter: Waiter, now: float) -> ClientKey:
        key, outputs = self.layer.request(request, path, now)
        self._waiters[key] = waiter
        self.take(outputs, now)
        return key

    def respond(self, key: ServerKey, response: Response, now: float) -> None:
        self.take(self.layer.respond(key, response, now), now)

    def refuse(
        self, key: ServerKey, request: Request, cause: str, host: str, now: float, to_tag: str | None = None
    ) -> None:
        """Answer with a row of the failure table. `host` is our address on that face."""
        self.respond(key, self.refusal(request, cause, host, to_tag), now)

    def turn_away(
        self, event: str, key: ServerKey, request: Request, flow: Flow, peer: Peer, cause: str, now: float
    ) -> None:
        """Refuse a request outside a dialog and tell the operator, both by the same row of the failure table."""
        self.refuse(key, request, cause, peer.control[0], now)
        failure = FAILURES[cause]
        self.report(
            event,
            Severity.WARNING,
            f"{request.method} refused: {failure.warning or cause}",
            peer=name_of(flow),
            device=flow.identity.name if flow.identity else "",
            cause=cause,
            fix=failure.fix,
            dial_peer=peer.tag,
        )

    def refusal(self, request: Request, cause: str, host: str, to_tag: str | None = None) -> Response:
        failure = FAILURES[cause]
        response = response_to(request, failure.status, to_tag=to_tag or self.tokens.tag())
        apply(response, failure, host)
        if not self._warnings:
            response.headers.remove("Warning")
        if failure.status == 415:
            response.headers.add("Accept", "application/sdp")
        if self._agent:
            response.headers.add("Server", self._agent)
        return response

    def ack(self, request: Request, path: Path, now: float) -> None:
        self.take(self.layer.send_ack(request, path), now)

    def cancel(self, key: ClientKey, now: float) -> None:
        self.take(self.layer.cancel(key, now), now)

    def report(
        self,
        name: str,
        severity: Severity,
        text: str,
        *,
        peer: str = "",
        device: str = "",
        call: str = "",
        cause: str = "",
        fix: str = "",
        **fields: object,
    ) -> None:
        self.out.append(Event(name, severity, text, peer, device, call, cause, fix, fields))

    def take(self, outputs: list[Output], now: float) -> None:
        """Carry out what the layer returned: transmit, wake waiters, keep the rest for the border."""
        while self._accepted and self._accepted[0][0] <= now:
            self._waiters.pop(self._accepted.popleft()[1], None)
        for output in outputs:
            if type(output) is Transmit:
                if self._may_go(output.path):
                    self.out.append(output)
            elif type(output) is ResponseArrived:
                self._woken(output, now)
            elif type(output) is ClientFailed:
                waiter = self._waiters.pop(output.key, None)
                if waiter is not None:
                    waiter.failed(output.cause, now)
            else:
                self.arrived.append(output)

    def _woken(self, output: ResponseArrived, now: float) -> None:
        response = output.response
        waiter = self._waiters.get(output.key)
        if waiter is None:
            return
        if 200 <= response.status < 300 and output.key[1] == "INVITE":
            self._accepted.append((now + self._lifetime, output.key))
        elif response.status >= 200:
            del self._waiters[output.key]
        waiter.response(response, now)

    def _may_go(self, path: Path) -> bool:
        """No connection towards a phone: what a lost one still had to hear is lost with it."""
        return isinstance(path, Flow) or not path.transport.reliable or path.local[0] not in self._undialled

    def counts(self) -> dict[str, int]:
        """What is held beside the layer's transactions, for leak tests."""
        return {"waiters": len(self._waiters), "user alarms": len(self.alarms)}

    def drain(self) -> list[Effect]:
        effects, self.out = self.out, []
        return effects


def name_of(path: Path) -> str:
    """host:port of a path's far end, for events."""
    return format_address(path.remote if isinstance(path, Flow) else (path.host, path.port))
