"""The transaction user: what every part of the border sends and schedules through.

It owns the queue of effects (mutate first, drain once) and remembers who waits for which client
transaction, so that registrations, calls and keepalives never see each other's answers.
"""

from __future__ import annotations

from typing import Protocol

from cubeproxy.border.alarms import Alarms
from cubeproxy.border.effects import Effect
from cubeproxy.border.failures import FAILURES, apply
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
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.values import Event, Path, Severity


class Waiter(Protocol):
    """Who sent a request and waits for what comes of it."""

    def response(self, response: Response, now: float) -> None:
        """A provisional or final response; a 2xx to INVITE comes again with every retransmission."""

    def failed(self, cause: str, now: float) -> None:
        """No final response: "timeout" (timer B or F) or "transport"."""


class TransactionUser:
    def __init__(self, layer: TransactionLayer, tokens: Tokens) -> None:
        self.layer = layer
        self.tokens = tokens
        self.alarms = Alarms()
        self.out: list[Effect] = []
        self.arrived: list[Output] = []  # what the layer has for the border itself
        self._waiters: dict[ClientKey, Waiter] = {}

    def request(self, request: Request, path: Path, waiter: Waiter, now: float) -> ClientKey:
        key, outputs = self.layer.request(request, path, now)
        self._waiters[key] = waiter
        self._take(outputs, now)
        return key

    def respond(self, key: ServerKey, response: Response, now: float) -> None:
        self._take(self.layer.respond(key, response, now), now)

    def refuse(self, key: ServerKey, request: Request, cause: str, host: str, now: float) -> None:
        """Answer with a row of the failure table. `host` is our address on that face."""
        failure = FAILURES[cause]
        response = response_to(request, failure.status, to_tag=request.to_tag or self.tokens.tag())
        self.respond(key, apply(response, failure, host), now)

    def ack(self, request: Request, path: Path, now: float) -> None:
        self._take(self.layer.send_ack(request, path), now)

    def cancel(self, key: ClientKey, now: float) -> None:
        self._take(self.layer.cancel(key, now), now)

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
        self._take(outputs, now)

    def _take(self, outputs: list[Output], now: float) -> None:
        for output in outputs:
            if type(output) is Transmit:
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
        if response.status >= 200 and not (response.status < 300 and response.cseq.method == "INVITE"):
            del self._waiters[output.key]
        waiter.response(response, now)

    def forget(self, key: ClientKey) -> None:
        """Nobody waits any more for what comes of this transaction."""
        self._waiters.pop(key, None)

    def drain(self) -> list[Effect]:
        effects, self.out = self.out, []
        return effects


def name_of(path: Path) -> str:
    """host:port of a path's far end, for events."""
    host, port = (path.host, path.port) if not hasattr(path, "remote") else path.remote
    return f"{host}:{port}"
