"""The server transactions: INVITE (RFC 3261 17.2.1, RFC 6026 7.1) and everything else (RFC 3261 17.2.2).

The rules are those of `machine`. The request is not kept: a response carries all that sending it again needs.

RFC 6026 leaves the retransmission of a 2xx to the user of the transaction. Here the machine does it, and so its state
Accepted is split: ACCEPTED sends again until the ACK comes, ACKNOWLEDGED only absorbs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cubeproxy.protocols.sip.effects import AckArrived, Output, RequestArrived, ServerExpired, ServerKey, Transmit
from cubeproxy.protocols.sip.machine import Input, State, Table, Transaction, absorb, finish, quieten
from cubeproxy.protocols.sip.timers import Delays, Lanes
from cubeproxy.protocols.values import Flow, Path, Target

if TYPE_CHECKING:
    from cubeproxy.protocols.sip.message import Response


class ServerTransaction(Transaction):
    """`path` is the way back; `fallback` stands in for a connection that was closed (RFC 3261 18.2.2)."""

    __slots__ = ("fallback", "key", "response")

    def __init__(self, key: ServerKey, path: Path, fallback: Target, delays: Delays, lanes: Lanes[Transaction]) -> None:
        super().__init__(path, delays, lanes)
        self.key = key
        self.fallback = fallback
        self.response: Response | None = None  # the last one, as long as it may have to be sent again

    def send(self, out: list[Output]) -> None:
        """The last response, if there is one already."""
        if self.response is not None:
            path = self.path
            closed = isinstance(path, Flow) and not path.open
            out.append(Transmit(self.fallback if closed else path, self.response))


class InviteServer(ServerTransaction):
    """`to_tag` is that of our last response, `ack_key` what the ACK for a 2xx is found by (the layer's)."""

    __slots__ = ("ack_key", "to_tag")
    kind = "INVITE server"

    def __init__(self, key: ServerKey, path: Path, fallback: Target, delays: Delays, lanes: Lanes[Transaction]) -> None:
        super().__init__(key, path, fallback, delays, lanes)
        self.to_tag: str | None = None
        self.ack_key: tuple[str, str, str, int] | None = None


class NonInviteServer(ServerTransaction):
    __slots__ = ()
    kind = "non-INVITE server"


def pass_on(_machine: ServerTransaction, arrived: RequestArrived | AckArrived, _now: float, out: list[Output]) -> None:
    out.append(arrived)


def answer(machine: ServerTransaction, response: Response, _now: float, out: list[Output]) -> None:
    """A provisional response: kept for the next retransmission of the request."""
    machine.response = response
    machine.send(out)


def answer_again(machine: ServerTransaction, _payload: None, _now: float, out: list[Output]) -> None:
    machine.send(out)


def accept(machine: InviteServer, response: Response, now: float, out: list[Output]) -> None:
    machine.response = response
    machine.send(out)
    machine.resend_after(Input.TIMER_2XX, machine.delays.accepted, now)
    machine.end_after(Input.TIMER_L, machine.delays.long, now, out)


def accept_again(machine: InviteServer, _payload: None, now: float, out: list[Output]) -> None:
    machine.send(out)
    machine.resend_after(Input.TIMER_2XX, min(2 * machine.interval, machine.delays.t2), now)


def acknowledge(machine: InviteServer, arrived: AckArrived, _now: float, out: list[Output]) -> None:
    machine.stop_resending()
    machine.response = None
    out.append(arrived)


def reject(machine: InviteServer, response: Response, now: float, out: list[Output]) -> None:
    machine.response = response
    machine.send(out)
    machine.resend_after(Input.TIMER_G, machine.delays.g, now)
    machine.end_after(Input.TIMER_H, machine.delays.h, now, out)


def reject_again(machine: InviteServer, _payload: None, now: float, out: list[Output]) -> None:
    machine.send(out)
    machine.resend_after(Input.TIMER_G, min(2 * machine.interval, machine.delays.t2), now)


def confirm(machine: InviteServer, _arrived: AckArrived, now: float, out: list[Output]) -> None:
    machine.stop_resending()
    machine.response = None
    machine.end_after(Input.TIMER_I, machine.delays.i, now, out)


def expire(machine: InviteServer, _payload: None, _now: float, out: list[Output]) -> None:
    """No ACK in 64*T1: the user ends the session with a BYE (RFC 3261 13.3.1.4)."""
    machine.stop()
    machine.response = None
    out.append(ServerExpired(machine.key))


S, I = State, Input  # noqa: E741 - tables read by rows

INVITE_SERVER: Table = {
    (S.IDLE, I.REQUEST): (pass_on, S.PROCEEDING),
    (S.PROCEEDING, I.REQUEST): (answer_again, S.PROCEEDING),
    (S.PROCEEDING, I.ACK): (absorb, S.PROCEEDING),
    (S.PROCEEDING, I.SEND_PROVISIONAL): (answer, S.PROCEEDING),
    (S.PROCEEDING, I.SEND_SUCCESS): (accept, S.ACCEPTED),
    (S.PROCEEDING, I.SEND_FAILURE): (reject, S.COMPLETED),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (absorb, S.PROCEEDING),  # the user holds the key and will answer
    (S.ACCEPTED, I.REQUEST): (absorb, S.ACCEPTED),
    (S.ACCEPTED, I.ACK): (acknowledge, S.ACKNOWLEDGED),
    (S.ACCEPTED, I.TIMER_2XX): (accept_again, S.ACCEPTED),
    (S.ACCEPTED, I.TIMER_L): (expire, S.TERMINATED),
    (S.ACCEPTED, I.TRANSPORT_ERROR): (quieten, S.ACCEPTED),
    (S.ACKNOWLEDGED, I.REQUEST): (absorb, S.ACKNOWLEDGED),
    (S.ACKNOWLEDGED, I.ACK): (pass_on, S.ACKNOWLEDGED),
    (S.ACKNOWLEDGED, I.TIMER_L): (finish, S.TERMINATED),
    (S.ACKNOWLEDGED, I.TRANSPORT_ERROR): (absorb, S.ACKNOWLEDGED),
    (S.COMPLETED, I.REQUEST): (answer_again, S.COMPLETED),
    (S.COMPLETED, I.ACK): (confirm, S.CONFIRMED),
    (S.COMPLETED, I.TIMER_G): (reject_again, S.COMPLETED),
    (S.COMPLETED, I.TIMER_H): (expire, S.TERMINATED),
    (S.COMPLETED, I.TRANSPORT_ERROR): (quieten, S.COMPLETED),
    (S.CONFIRMED, I.REQUEST): (absorb, S.CONFIRMED),
    (S.CONFIRMED, I.ACK): (absorb, S.CONFIRMED),
    (S.CONFIRMED, I.TIMER_I): (finish, S.TERMINATED),
    (S.CONFIRMED, I.TRANSPORT_ERROR): (absorb, S.CONFIRMED),
}
InviteServer.table = INVITE_SERVER


def complete(machine: NonInviteServer, response: Response, now: float, out: list[Output]) -> None:
    machine.response = response
    machine.send(out)
    machine.end_after(Input.TIMER_J, machine.delays.j, now, out)


NON_INVITE_SERVER: Table = {
    (S.IDLE, I.REQUEST): (pass_on, S.TRYING),
    (S.TRYING, I.REQUEST): (absorb, S.TRYING),
    (S.TRYING, I.SEND_PROVISIONAL): (answer, S.PROCEEDING),
    (S.TRYING, I.SEND_FINAL): (complete, S.COMPLETED),
    (S.TRYING, I.TRANSPORT_ERROR): (absorb, S.TRYING),  # the user holds the key and will answer
    (S.PROCEEDING, I.REQUEST): (answer_again, S.PROCEEDING),
    (S.PROCEEDING, I.SEND_PROVISIONAL): (answer, S.PROCEEDING),
    (S.PROCEEDING, I.SEND_FINAL): (complete, S.COMPLETED),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (absorb, S.PROCEEDING),
    (S.COMPLETED, I.REQUEST): (answer_again, S.COMPLETED),
    (S.COMPLETED, I.SEND_FINAL): (absorb, S.COMPLETED),
    (S.COMPLETED, I.TIMER_J): (finish, S.TERMINATED),
    (S.COMPLETED, I.TRANSPORT_ERROR): (finish, S.TERMINATED),
}
NonInviteServer.table = NON_INVITE_SERVER
