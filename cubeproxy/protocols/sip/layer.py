"""The transaction layer: messages in, transactions found or made, outputs out. No socket, no clock.

It owns every transaction and every alarm. Three rules. What belongs to no transaction is handed on or dropped, never
guessed at. A transaction that ended is gone from every index in the same call. The user hears of each request once,
of each failure once.

`receive` raises RemoteProtocolError for a message whose Via, CSeq or the like cannot be read (answer a request, drop a
response); everything else that raises is LocalProtocolError, a bug of the caller.
"""

from __future__ import annotations

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.effects import (
    AckArrived,
    CancelArrived,
    ClientFailed,
    ClientKey,
    Output,
    RequestArrived,
    ResponseArrived,
    ServerExpired,
    ServerKey,
    Transmit,
)
from cubeproxy.protocols.sip.hop import add_via, cancel_for, note_source, way_back
from cubeproxy.protocols.sip.matching import AckKey, ack_key, answers, client_key, server_key
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.sip.timers import Lanes, Timers
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.sip.transactions import (
    Input,
    InviteClient,
    InviteServer,
    NonInviteClient,
    NonInviteServer,
    State,
    Transaction,
)
from cubeproxy.protocols.values import Flow, Path, Target

__all__ = [
    "AckArrived",
    "CancelArrived",
    "ClientFailed",
    "ClientKey",
    "Output",
    "RequestArrived",
    "ResponseArrived",
    "ServerExpired",
    "ServerKey",
    "TransactionLayer",
    "Transmit",
]

# By the first digit of the status.
_RECEIVED_INVITE = (None, Input.PROVISIONAL, Input.SUCCESS, *[Input.FAILURE] * 4)
_RECEIVED = (None, Input.PROVISIONAL, *[Input.FINAL] * 5)
_SENT_INVITE = (None, Input.SEND_PROVISIONAL, Input.SEND_SUCCESS, *[Input.SEND_FAILURE] * 4)
_SENT = (None, Input.SEND_PROVISIONAL, *[Input.SEND_FINAL] * 5)


class TransactionLayer:
    """All transactions of one element, on all its transports."""

    def __init__(self, timers: Timers = Timers(), tokens: Tokens | None = None) -> None:  # noqa: B008 - a value
        self.tokens = tokens or Tokens()
        self._delays = {reliable: timers.delays(reliable) for reliable in (False, True)}
        self._lanes: Lanes[Transaction] = Lanes()
        self._clients: dict[ClientKey, InviteClient | NonInviteClient] = {}
        self._servers: dict[ServerKey, InviteServer | NonInviteServer] = {}
        self._accepted: dict[AckKey, InviteServer] = {}
        self._paths: dict[Path, set[Transaction]] = {}

    def receive(self, message: Message, flow: Flow, now: float) -> list[Output]:
        """One message that arrived on `flow`; a request's topmost Via is completed with its source."""
        out: list[Output] = []
        if isinstance(message, Response):
            self._take_response(message, now, out)
        elif isinstance(message, Request):
            self._take_request(message, flow, now, out)
        return out

    def _take_response(self, response: Response, now: float, out: list[Output]) -> None:
        client = self._clients.get(client_key(response))
        if client is None:
            return  # late, or never asked for (RFC 3261 18.1.2; RFC 6026 8.1: a 2xx too)
        invite = client if isinstance(client, InviteClient) else None
        event = _by_status(_RECEIVED if invite is None else _RECEIVED_INVITE, response.status)
        if event is None:
            raise RemoteProtocolError(f"{response.status} is no status of a response")
        self._feed(client, event, response, now, out)
        if invite is not None:
            self._release_cancel(invite, now, out)

    def _take_request(self, request: Request, flow: Flow, now: float, out: list[Output]) -> None:
        method = request.method
        if method == "ACK":
            self._take_ack(request, flow, now, out)
            return
        key = server_key(request, method)
        known = self._servers.get(key)
        if known is not None:
            self._feed(known, Input.REQUEST, None, now, out)
            return
        server = self._open_server(key, request, flow)
        arrived = RequestArrived(key, request, flow)
        if method != "CANCEL":
            self._feed(server, Input.REQUEST, arrived, now, out)
            return
        self._feed(server, Input.REQUEST, arrived, now, [])  # nobody's business but ours
        self._answer_cancel(server, request, flow, now, out)

    def _take_ack(self, ack: Request, flow: Flow, now: float, out: list[Output]) -> None:
        """By the branch for a 3xx-6xx, by the dialog for a 2xx (RFC 3261 17.2.3, 13.3.1.4)."""
        key = server_key(ack, "INVITE")
        server = self._servers.get(key)
        if not isinstance(server, InviteServer) or not answers(key, ack, server.to_tag):
            server = self._accepted.get(ack_key(ack))
        arrived = AckArrived(ack, flow)
        if server is None:
            out.append(arrived)
        else:
            self._feed(server, Input.ACK, arrived, now, out)

    def _answer_cancel(
        self, server: InviteServer | NonInviteServer, cancel: Request, flow: Flow, now: float, out: list[Output]
    ) -> None:
        """RFC 3261 9.2: 200 when there is such an INVITE, answered or not; 481 otherwise."""
        invite = self._servers.get(server_key(cancel, "INVITE"))
        if not isinstance(invite, InviteServer):
            gone = response_to(cancel, 481, to_tag=self.tokens.tag())
            self._feed(server, Input.SEND_FINAL, gone, now, out)
            return
        ok = response_to(cancel, 200, to_tag=invite.to_tag or self.tokens.tag())
        self._feed(server, Input.SEND_FINAL, ok, now, out)
        if invite.state == State.PROCEEDING:
            out.append(CancelArrived(invite.key, cancel, flow))

    def request(self, request: Request, path: Path, now: float) -> tuple[ClientKey, list[Output]]:
        """Send a request, with our Via on top. The ACK for a 2xx goes through `send_ack`, CANCEL through `cancel`."""
        method = request.method
        if method in {"ACK", "CANCEL"}:
            raise LocalProtocolError(f"{method} has no client transaction of its own")
        branch = self.tokens.branch()
        add_via(request, path, branch)
        key = (branch, method)
        kind = InviteClient if method == "INVITE" else NonInviteClient
        client = kind(key, request, path, self._delays[path.transport.reliable], self._lanes)
        out: list[Output] = []
        self._start(client, now, out)
        return key, out

    def respond(self, key: ServerKey, response: Response, now: float) -> list[Output]:
        """Answer a request that arrived. LocalProtocolError: it has been answered already."""
        server = self._servers.get(key)
        if server is None:
            raise LocalProtocolError(f"no server transaction waits for this {response.status}")
        event = _by_status(_SENT_INVITE if isinstance(server, InviteServer) else _SENT, response.status)
        if event is None:
            raise LocalProtocolError(f"{response.status} is no status of a response")
        out: list[Output] = []
        self._feed(server, event, response, now, out)
        if isinstance(server, InviteServer):
            server.to_tag = response.to_tag
            if event == Input.SEND_SUCCESS:
                server.ack_key = ack_key(response)
                self._accepted[server.ack_key] = server
        return out

    def send_ack(self, request: Request, path: Path) -> list[Output]:
        """Send the ACK for a 2xx: a branch of its own, no transaction (RFC 3261 13.2.2.4)."""
        add_via(request, path, self.tokens.branch())
        return [Transmit(path, request)]

    def cancel(self, key: ClientKey, now: float, reason: str | None = None) -> list[Output]:
        """Give up an INVITE: the CANCEL goes out as soon as a provisional response is there (RFC 3261 9.1).

        Nothing happens when the final response came first. The INVITE ends as ever: by a final response (487, or a 2xx
        that overtook the CANCEL), or by ClientFailed after 64*T1. `reason` is the value of a Reason header.
        """
        client = self._clients.get(key)
        out: list[Output] = []
        if client is None:
            return out
        if not isinstance(client, InviteClient):
            raise LocalProtocolError(f"only an INVITE is cancelled, not {key[1]}")
        cancel = cancel_for(client.request, reason) if client.request is not None else None
        self._feed(client, Input.CANCEL, cancel, now, out)
        self._release_cancel(client, now, out)
        return out

    def path_failed(self, path: Path, now: float) -> list[Output]:
        """A path is gone: its client transactions fail, its server transactions send nothing again by themselves.

        A closed flow takes along the transactions that were sent to the target which it was opened for.
        """
        paths: list[Path] = [path]
        if isinstance(path, Flow):
            paths.append(Target(path.transport, *path.remote, path.local))
        out: list[Output] = []
        for each in paths:
            for transaction in tuple(self._paths.get(each, ())):
                self._feed(transaction, Input.TRANSPORT_ERROR, None, now, out)
        return out

    def timeout(self, now: float) -> list[Output]:
        """Let every alarm go off whose time has come."""
        out: list[Output] = []
        for transaction, lane in self._lanes.due(now):
            transaction.fire(lane, now, out)
            if transaction.state == State.TERMINATED:
                self._forget(transaction)
        return out

    @property
    def deadline(self) -> float | None:
        """When `timeout` wants to be called, None when nothing waits. May be early, never late."""
        return self._lanes.deadline

    def counts(self) -> dict[str, int]:
        """How many transactions of each kind are open, and what else is held. All 0 when everything has ended."""
        counts = {kind.kind: 0 for kind in (InviteClient, NonInviteClient, InviteServer, NonInviteServer)}
        for transaction in (*self._clients.values(), *self._servers.values()):
            counts[transaction.kind] += 1
        return counts | {"alarms": len(self._lanes), "accepted": len(self._accepted), "paths": len(self._paths)}

    def _feed(self, transaction: Transaction, event: Input, payload: object, now: float, out: list[Output]) -> None:
        transaction.feed(event, payload, now, out)
        if transaction.state == State.TERMINATED:
            self._forget(transaction)

    def _start(self, client: InviteClient | NonInviteClient, now: float, out: list[Output]) -> None:
        self._clients[client.key] = client
        self._adopt(client)
        self._feed(client, Input.START, None, now, out)

    def _open_server(self, key: ServerKey, request: Request, flow: Flow) -> InviteServer | NonInviteServer:
        note_source(request, flow)
        path, fallback = way_back(request, flow)
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        server = kind(key, path, fallback, self._delays[flow.transport.reliable], self._lanes)
        self._servers[key] = server
        self._adopt(server)
        return server

    def _release_cancel(self, invite: InviteClient, now: float, out: list[Output]) -> None:
        """Open the transaction of a CANCEL that may go now: on the INVITE's path, with its branch."""
        if invite.state != State.CANCELLED or invite.cancel is None:
            return
        cancel, invite.cancel = invite.cancel, None
        key = (invite.key[0], "CANCEL")
        self._start(NonInviteClient(key, cancel, invite.path, invite.delays, self._lanes, quiet=True), now, out)

    def _adopt(self, transaction: Transaction) -> None:
        siblings = self._paths.get(transaction.path)
        if siblings is None:
            siblings = self._paths[transaction.path] = set()
        siblings.add(transaction)
        transaction.siblings = siblings

    def _forget(self, transaction: Transaction) -> None:
        siblings = transaction.siblings
        if siblings is not None:
            siblings.discard(transaction)
            if not siblings:
                del self._paths[transaction.path]
        if isinstance(transaction, InviteClient | NonInviteClient):
            del self._clients[transaction.key]
        elif isinstance(transaction, InviteServer | NonInviteServer):
            del self._servers[transaction.key]
            shared = transaction.ack_key if isinstance(transaction, InviteServer) else None
            if shared is not None and self._accepted.get(shared) is transaction:  # a merged request may share it
                del self._accepted[shared]


def _by_status(events: tuple[Input | None, ...], status: int) -> Input | None:
    digit = status // 100
    return events[digit] if 0 < digit < len(events) else None
