"""The client transactions: INVITE (RFC 3261 17.1.1, RFC 6026 7.2) and everything else (RFC 3261 17.1.2).

The rules are those of `machine`. The request is let go when the final response is there; an INVITE's machine builds
its own ACK for a 3xx-6xx (17.1.1.3), and holds a CANCEL back until a provisional response came (9.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cubeproxy.protocols.sip.effects import Cause, ClientFailed, ClientKey, Output, ResponseArrived, Transmit
from cubeproxy.protocols.sip.hop import ack_for
from cubeproxy.protocols.sip.machine import Input, State, Table, Transaction, absorb, finish
from cubeproxy.protocols.sip.timers import Delays, Lanes

if TYPE_CHECKING:
    from cubeproxy.protocols.sip.message import Request, Response
    from cubeproxy.protocols.values import Path


class ClientTransaction(Transaction):
    """`quiet` is for the layer's own CANCEL, of whose fate nobody hears."""

    __slots__ = ("key", "quiet", "request")

    def __init__(
        self,
        key: ClientKey,
        request: Request,
        path: Path,
        delays: Delays,
        lanes: Lanes[Transaction],
        *,
        quiet: bool = False,
    ) -> None:
        super().__init__(path, delays, lanes)
        self.key = key
        self.request: Request | None = request
        self.quiet = quiet

    def send(self, out: list[Output]) -> None:
        assert self.request is not None
        out.append(Transmit(self.path, self.request))

    def tell(self, response: Response, out: list[Output]) -> None:
        if not self.quiet:
            out.append(ResponseArrived(self.key, response))

    def fail(self, cause: Cause, out: list[Output]) -> None:
        self.stop()
        self.request = None
        if not self.quiet:
            out.append(ClientFailed(self.key, cause))


class InviteClient(ClientTransaction):
    """`cancel` is the CANCEL that is wanted; in CANCELLED the layer takes it and opens a transaction for it."""

    __slots__ = ("ack", "cancel")
    kind = "INVITE client"

    def __init__(self, key: ClientKey, request: Request, path: Path, delays: Delays, lanes: Lanes[Transaction]) -> None:
        super().__init__(key, request, path, delays, lanes)
        self.ack: Request | None = None
        self.cancel: Request | None = None


class NonInviteClient(ClientTransaction):
    __slots__ = ()
    kind = "non-INVITE client"


def pass_response(machine: ClientTransaction, response: Response, _now: float, out: list[Output]) -> None:
    machine.tell(response, out)


def time_out(machine: ClientTransaction, _payload: None, _now: float, out: list[Output]) -> None:
    """Timer B or F: no final response in 64*T1."""
    machine.fail("timeout", out)


def lose_path(machine: ClientTransaction, _payload: None, _now: float, out: list[Output]) -> None:
    """RFC 3261 17.1.4. Also where nothing is being sent: what is lost with the connection is the answer."""
    machine.fail("transport", out)


def invite(machine: InviteClient, _payload: None, now: float, out: list[Output]) -> None:
    machine.send(out)
    machine.resend_after(Input.TIMER_A, machine.delays.a, now)
    machine.end_after(Input.TIMER_B, machine.delays.b, now, out)


def invite_again(machine: InviteClient, _payload: None, now: float, out: list[Output]) -> None:
    machine.send(out)
    machine.resend_after(Input.TIMER_A, 2 * machine.interval, now)


def hold_cancel(machine: InviteClient, cancel: Request, _now: float, _out: list[Output]) -> None:
    machine.cancel = cancel


def cancel_now(machine: InviteClient, cancel: Request, now: float, out: list[Output]) -> None:
    """RFC 3261 9.1: when no final response comes in 64*T1 after the CANCEL, the INVITE counts as cancelled."""
    machine.cancel = cancel
    machine.end_after(Input.TIMER_B, machine.delays.b, now, out)


def ring(machine: InviteClient, response: Response, _now: float, out: list[Output]) -> None:
    """From here on the user decides how long to wait."""
    machine.stop()
    machine.tell(response, out)


def ring_and_cancel(machine: InviteClient, response: Response, now: float, out: list[Output]) -> None:
    """The held CANCEL may go: timer B starts again for it."""
    machine.stop_resending()
    machine.tell(response, out)
    machine.end_after(Input.TIMER_B, machine.delays.b, now, out)


def accept(machine: InviteClient, response: Response, now: float, out: list[Output]) -> None:
    """The user sends the ACK, here and for each further 2xx (other forks, retransmissions) until timer M."""
    machine.stop_resending()
    machine.request = machine.cancel = None
    machine.tell(response, out)
    machine.end_after(Input.TIMER_M, machine.delays.long, now, out)


def reject(machine: InviteClient, response: Response, now: float, out: list[Output]) -> None:
    machine.stop_resending()
    assert machine.request is not None
    machine.ack = ack_for(machine.request, response)
    machine.request = machine.cancel = None
    out.append(Transmit(machine.path, machine.ack))
    machine.tell(response, out)
    machine.end_after(Input.TIMER_D, machine.delays.d, now, out)


def ack_again(machine: InviteClient, _response: Response, _now: float, out: list[Output]) -> None:
    assert machine.ack is not None
    out.append(Transmit(machine.path, machine.ack))


S, I = State, Input  # noqa: E741 - tables read by rows

INVITE_CLIENT: Table = {
    (S.IDLE, I.START): (invite, S.CALLING),
    (S.CALLING, I.TIMER_A): (invite_again, S.CALLING),
    (S.CALLING, I.TIMER_B): (time_out, S.TERMINATED),
    (S.CALLING, I.PROVISIONAL): (ring, S.PROCEEDING),
    (S.CALLING, I.SUCCESS): (accept, S.ACCEPTED),
    (S.CALLING, I.FAILURE): (reject, S.COMPLETED),
    (S.CALLING, I.CANCEL): (hold_cancel, S.HELD),
    (S.CALLING, I.TRANSPORT_ERROR): (lose_path, S.TERMINATED),
    (S.HELD, I.TIMER_A): (invite_again, S.HELD),
    (S.HELD, I.TIMER_B): (time_out, S.TERMINATED),
    (S.HELD, I.PROVISIONAL): (ring_and_cancel, S.CANCELLED),
    (S.HELD, I.SUCCESS): (accept, S.ACCEPTED),
    (S.HELD, I.FAILURE): (reject, S.COMPLETED),
    (S.HELD, I.CANCEL): (absorb, S.HELD),
    (S.HELD, I.TRANSPORT_ERROR): (lose_path, S.TERMINATED),
    (S.PROCEEDING, I.PROVISIONAL): (pass_response, S.PROCEEDING),
    (S.PROCEEDING, I.SUCCESS): (accept, S.ACCEPTED),
    (S.PROCEEDING, I.FAILURE): (reject, S.COMPLETED),
    (S.PROCEEDING, I.CANCEL): (cancel_now, S.CANCELLED),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (lose_path, S.TERMINATED),
    (S.CANCELLED, I.PROVISIONAL): (pass_response, S.CANCELLED),
    (S.CANCELLED, I.SUCCESS): (accept, S.ACCEPTED),  # the answer overtook the CANCEL
    (S.CANCELLED, I.FAILURE): (reject, S.COMPLETED),  # 487, as a rule
    (S.CANCELLED, I.CANCEL): (absorb, S.CANCELLED),
    (S.CANCELLED, I.TIMER_B): (time_out, S.TERMINATED),
    (S.CANCELLED, I.TRANSPORT_ERROR): (lose_path, S.TERMINATED),
    (S.ACCEPTED, I.PROVISIONAL): (absorb, S.ACCEPTED),
    (S.ACCEPTED, I.SUCCESS): (pass_response, S.ACCEPTED),
    (S.ACCEPTED, I.FAILURE): (absorb, S.ACCEPTED),
    (S.ACCEPTED, I.CANCEL): (absorb, S.ACCEPTED),  # too late: the user says BYE
    (S.ACCEPTED, I.TIMER_M): (finish, S.TERMINATED),
    (S.ACCEPTED, I.TRANSPORT_ERROR): (absorb, S.ACCEPTED),
    (S.COMPLETED, I.PROVISIONAL): (absorb, S.COMPLETED),
    (S.COMPLETED, I.SUCCESS): (absorb, S.COMPLETED),
    (S.COMPLETED, I.FAILURE): (ack_again, S.COMPLETED),
    (S.COMPLETED, I.CANCEL): (absorb, S.COMPLETED),
    (S.COMPLETED, I.TIMER_D): (finish, S.TERMINATED),
    (S.COMPLETED, I.TRANSPORT_ERROR): (finish, S.TERMINATED),  # the user has its final response
}
InviteClient.table = INVITE_CLIENT


def ask(machine: NonInviteClient, _payload: None, now: float, out: list[Output]) -> None:
    machine.send(out)
    machine.resend_after(Input.TIMER_E, machine.delays.e, now)
    machine.end_after(Input.TIMER_F, machine.delays.f, now, out)


def ask_again(machine: NonInviteClient, _payload: None, now: float, out: list[Output]) -> None:
    machine.send(out)
    machine.resend_after(Input.TIMER_E, min(2 * machine.interval, machine.delays.t2), now)


def ask_slowly(machine: NonInviteClient, _payload: None, now: float, out: list[Output]) -> None:
    """The server is known to be there: T2 at once."""
    machine.send(out)
    machine.resend_after(Input.TIMER_E, machine.delays.t2, now)


def take_answer(machine: NonInviteClient, response: Response, now: float, out: list[Output]) -> None:
    machine.stop_resending()
    machine.request = None
    machine.tell(response, out)
    machine.end_after(Input.TIMER_K, machine.delays.k, now, out)


NON_INVITE_CLIENT: Table = {
    (S.IDLE, I.START): (ask, S.TRYING),
    (S.TRYING, I.TIMER_E): (ask_again, S.TRYING),
    (S.TRYING, I.TIMER_F): (time_out, S.TERMINATED),
    (S.TRYING, I.PROVISIONAL): (pass_response, S.PROCEEDING),
    (S.TRYING, I.FINAL): (take_answer, S.COMPLETED),
    (S.TRYING, I.TRANSPORT_ERROR): (lose_path, S.TERMINATED),
    (S.PROCEEDING, I.TIMER_E): (ask_slowly, S.PROCEEDING),
    (S.PROCEEDING, I.TIMER_F): (time_out, S.TERMINATED),
    (S.PROCEEDING, I.PROVISIONAL): (pass_response, S.PROCEEDING),
    (S.PROCEEDING, I.FINAL): (take_answer, S.COMPLETED),
    (S.PROCEEDING, I.TRANSPORT_ERROR): (lose_path, S.TERMINATED),
    (S.COMPLETED, I.PROVISIONAL): (absorb, S.COMPLETED),
    (S.COMPLETED, I.FINAL): (absorb, S.COMPLETED),
    (S.COMPLETED, I.TIMER_K): (finish, S.TERMINATED),
    (S.COMPLETED, I.TRANSPORT_ERROR): (finish, S.TERMINATED),
}
NonInviteClient.table = NON_INVITE_CLIENT
