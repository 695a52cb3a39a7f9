"""The border: one event in, effects out. It knows which part a message is for, and nothing else.

`Border` is the whole signalling of the proxy without a socket or a clock: registrations, calls,
node keepalives on one transaction layer.
"""

from __future__ import annotations

from collections.abc import Container

from cubeproxy.border.calls import Calls
from cubeproxy.border.effects import (
    BorderEvent,
    Drain,
    Drained,
    Effect,
    FlowClosed,
    Malformed,
    MessageArrived,
    PathFailed,
)
from cubeproxy.border.errands import ERRANDS, Errands
from cubeproxy.border.failures import FAILURES
from cubeproxy.border.headers import unsupported
from cubeproxy.border.identity import check_claims
from cubeproxy.border.nodes import Nodes
from cubeproxy.border.phases import Input
from cubeproxy.border.plan import Peer, Plan
from cubeproxy.border.registrations import Registrations
from cubeproxy.border.routing import Router
from cubeproxy.border.user import TransactionUser, name_of
from cubeproxy.config.model import Config
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.sip.layer import (
    AckArrived,
    CancelArrived,
    RequestArrived,
    ServerExpired,
    Transmit,
)
from cubeproxy.protocols.sip.message import (
    MAX_HEAD,
    Message,
    Request,
    Response,
    response_to,
    validate_request,
    validate_response,
)
from cubeproxy.protocols.sip.timers import Timers
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.values import Flow, MediaLost, MediaMoved, MediaRefused, MediaReserved, Severity, Side

METHODS = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE",
    "PUBLISH",
)  # fmt: skip
# Octets of headers. An answer has rows of the request and of the far side's answer, and what leaves us must stay below
# what we would take ourselves (MAX_HEAD).
LARGEST_HEAD = MAX_HEAD // 2 - 512

KNOWN = frozenset({*METHODS, "SUBSCRIBE"})  # refused outside a dialog with 405, others with 501


class Border:
    def __init__(
        self,
        config: Config,
        tokens: Tokens | None = None,
        timers: Timers | None = None,
        *,
        missing: Container[str] = (),
    ) -> None:
        """`missing` are codecs that nothing on this box codes, by their IOS names. Raises ConfigError when the
        configuration names no address or class that it needs."""
        self.plan = Plan(config, missing)
        self._said = False  # that the last call has ended
        access = {peer.control[0] for peer in self.plan.access}
        self.user = TransactionUser(
            tokens or Tokens(),
            timers or Timers(),
            agent=f"Cisco-SIPGateway/IOS-{config.version}",
            warnings=config.voice.warn_header,
            undialled=frozenset(access - {peer.control[0] for peer in self.plan.core}),
        )
        self.router = Router(self.plan)
        self.nodes = Nodes((node for peer in self.plan.core for node in peer.nodes), self.user)
        self.registrations = Registrations(self.plan, self.router, self.nodes, self.user)
        self.calls = Calls(self.plan, self.router, self.nodes, self.registrations, self.user)
        self.errands = Errands(self.calls.judge, self.registrations, self.user)
        self.judge = self.calls.judge

    def start(self, now: float) -> list[Effect]:
        """Begin the keepalives."""
        self.nodes.start(now)
        return self.user.drain()

    def receive(self, event: BorderEvent, now: float) -> list[Effect]:
        match event:
            case MessageArrived():
                self._message(event.flow, event, now)
            case MediaReserved() | MediaRefused() | MediaLost() | MediaMoved():
                self.calls.media(event, now)
            case FlowClosed():
                self.registrations.flow_lost(event.flow)
                self.user.take(self.user.layer.path_failed(event.flow, now), now)
            case PathFailed():
                self.user.take(self.user.layer.path_failed(event.path, now), now)
            case Malformed():
                self._malformed(event)
            case Drain():
                self._drain(event, now)
        self._dispatch(now)
        self._drained()
        return self.user.drain()

    def timeout(self, now: float) -> list[Effect]:
        self.user.take(self.user.layer.timeout(now), now)
        self.user.alarms.ring(now)
        self._dispatch(now)
        self._drained()
        return self.user.drain()

    @property
    def deadline(self) -> float | None:
        """When `timeout` wants to be called, on the clock of `now`."""
        times = [t for t in (self.user.layer.deadline, self.user.alarms.deadline) if t is not None]
        return min(times) if times else None

    def _message(self, flow: Flow, event: MessageArrived, now: float) -> None:
        message = event.message
        try:
            if _head(message) > LARGEST_HEAD:
                raise RemoteProtocolError("headers that would not fit once they are passed on", 513)
            if isinstance(message, Response):
                validate_response(message)
            elif self.plan.side_of(flow.local) is Side.CORE and not self.judge.trusts(flow):
                self._untrusted(flow, message)
                return
            else:
                validate_request(message)
            self.user.take(self.user.layer.receive(message, flow, now), now)
        except RemoteProtocolError as error:
            self._malformed(Malformed(flow, error, message))

    def _untrusted(self, flow: Flow, request: Request) -> None:
        """Silently discarded, as the vendor does by default: no answer tells a scanner anything."""
        self.user.report(
            "sip.untrusted",
            Severity.WARNING,
            f"{request.method} from {name_of(flow)} discarded: not a core peer",
            peer=name_of(flow),
            cause="untrusted",
            fix=FAILURES["untrusted"].fix,
        )
        if not self.plan.config.voice.silent_discard_untrusted and request.method != "ACK":
            self._stateless(flow, request, self.user.refusal(request, "untrusted", flow.local[0]))

    def _stateless(self, flow: Flow, request: Request, response: Response) -> None:
        """An answer without a transaction, also to a Via that cannot be read: the connection is the way back."""
        if "Via" in request.headers and _head(response) < 2 * LARGEST_HEAD:
            self.user.out.append(Transmit(flow, response))

    def _dispatch(self, now: float) -> None:
        """Hand on what the layer found for us; handling one may bring more."""
        while self.user.arrived:
            arrived, self.user.arrived = self.user.arrived, []
            for output in arrived:
                match output:
                    case RequestArrived():
                        self._request(output, now)
                    case AckArrived():
                        self.calls.ack(output.request, output.flow, now)
                    case CancelArrived():
                        self.calls.cancel(output.invite_key, output.request, now)
                    case ServerExpired():
                        self.calls.expired(output.key, now)

    def _request(self, arrived: RequestArrived, now: float) -> None:
        key, request, flow = arrived.key, arrived.request, arrived.flow
        try:
            peer = self.router.incoming(request, flow)
            obstacle = self.judge.obstacle(request) or self._impostor(request, flow, peer)
            if obstacle:
                self.user.refuse(key, request, obstacle, peer.control[0], now, request.to_tag)
            elif request.to_tag:
                self.calls.in_dialog(key, request, flow, now)
            elif request.method == "INVITE":
                self.calls.invite(key, request, flow, peer, now)
            elif request.method == "REGISTER" and peer.side is Side.ACCESS:
                self.registrations.register(key, request, flow, peer, now)
            elif request.method in ERRANDS:
                self.errands.run(key, request, flow, peer, now)
            elif request.method == "OPTIONS":
                self._options(arrived, peer, now)
            else:
                self._plain(arrived, 405 if request.method in KNOWN else 501, now)
        except RemoteProtocolError as error:
            self._plain(arrived, error.status, now)

    def _impostor(self, request: Request, flow: Flow, peer: Peer) -> str:
        """A phone that speaks as another device: refused, and one event (identity.check_claims)."""
        if peer.side is Side.CORE:
            return ""
        try:
            for contact in request.contacts:
                check_claims(contact, flow)
        except TrustError as error:
            self.user.report(
                "registration.refused" if request.method == "REGISTER" else "request.refused",
                Severity.WARNING,
                f"{request.method} refused: {error}",
                peer=name_of(flow),
                device=flow.identity.name if flow.identity else "",
                cause="identity",
                fix=error.fix,
            )
            return "identity"
        return ""

    def _plain(self, arrived: RequestArrived, status: int, now: float) -> None:
        response = response_to(arrived.request, status, to_tag=self.user.tokens.tag())
        if status == 405:
            response.headers.add("Allow", ", ".join(METHODS))
        self.user.respond(arrived.key, response, now)

    def _options(self, arrived: RequestArrived, peer: Peer, now: float) -> None:
        """What we can (RFC 3261 11.2); while draining 503, so that a cluster looks elsewhere."""
        if self.calls.draining:
            self.user.refuse(arrived.key, arrived.request, "draining", peer.control[0], now)
            return
        bad = unsupported(arrived.request)
        response = response_to(arrived.request, 420 if bad else 200, to_tag=self.user.tokens.tag())
        if bad:
            response.headers.add("Unsupported", ", ".join(bad))
        response.headers.add("Allow", ", ".join(METHODS))
        response.headers.add("Accept", "application/sdp")
        response.headers.add("Supported", "100rel, timer, replaces")
        self.user.respond(arrived.key, response, now)

    def _malformed(self, event: Malformed) -> None:
        """Answer what can be answered without a transaction (RFC 3261 8.2), once to the operator."""
        flow, error, message = event.flow, event.error, event.message
        side = self.plan.side_of(flow.local)
        self.user.report(
            "sip.malformed",
            Severity.WARNING,
            f"malformed message on the {side.value} side: {error}",
            peer=name_of(flow),
            device=flow.identity.name if flow.identity else "",
            cause=str(error.status),
            reason=str(error),
        )
        if not isinstance(message, Request) or message.method == "ACK":
            return
        if side is Side.ACCESS or self.judge.trusts(flow):
            response = response_to(message, error.status, error.reason, to_tag=self.user.tokens.tag())
            self._stateless(flow, message, response)

    def _drain(self, drain: Drain, now: float) -> None:
        self.calls.draining = True
        self.user.report("proxy.draining", Severity.NOTICE, f"draining, calls up: {len(self.calls)}")
        self.user.alarms.set("drain", now + drain.limit, self._cut)

    def _cut(self, now: float) -> None:
        for call in self.calls:
            call.receive(Input.LIMIT, "draining", now)

    def _drained(self) -> None:
        if self.calls.draining and not self._said and not len(self.calls):
            self._said = True
            self.user.out.append(Drained())


def _head(message: Message) -> int:
    """Octets of a message's header rows, line ends left out."""
    return sum(map(len, message.headers.lines()))
