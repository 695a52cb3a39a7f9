"""The server's end of a read transfer: we have the file and send it.

No amplification: until the address that asked has shown with an ACK that it exists, it gets one datagram (the OACK, or
the first block) for each of its requests, few of them, and nothing is repeated by a timer. From then on the window is
sent again after a silence. A duplicate ACK moves nothing, else every block would go out twice (RFC 1123 4.2.3.1).
Block numbers wrap from 65535 to 0.
"""

from __future__ import annotations

from typing import Any

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.tftp.options import LIMITS, Limits, answer
from cubeproxy.protocols.tftp.packets import OCTET, Ack, Data, Error, ErrorCode, OptionAck, Packet, Request
from cubeproxy.protocols.tftp.transfer import (
    PACE,
    Completed,
    Effect,
    Input,
    Pace,
    State,
    Table,
    Transfer,
    absorb,
    end_session,
    fall_silent,
    peer_failed,
    refuse_illegal,
)
from cubeproxy.protocols.values import Address

REPEATS = 5  # requests of one client that are answered


def refusal(request: Request) -> Error | None:
    """The ERROR for a request that no file could answer: writing, and modes that change octets."""
    if request.write:
        return Error(ErrorCode.ACCESS, "Access violation")
    if request.mode != OCTET:
        return Error(ErrorCode.UNDEFINED, "Only octet mode")
    return None


class Sender(Transfer):
    """`start` begins; `repeat` is for the same request from the same address, come again to port 69."""

    kind = "server"

    def __init__(
        self, content: bytes, request: Request, peer: Address, pace: Pace = PACE, limits: Limits = LIMITS
    ) -> None:
        super().__init__(pace)
        if refusal(request) is not None:
            raise LocalProtocolError("a request that is refused has no transfer")
        self.peer = peer
        self.content = content
        self.terms, self.offered = answer(request.options, len(content), limits)
        self.blocks = len(content) // self.terms.block_size + 1  # the last one is short, empty perhaps
        self.acknowledged = 0  # blocks
        self.sent = 0
        self.repeats = 0

    def start(self, now: float) -> list[Effect]:
        self.over_at = now + self.pace.session
        self.resend_at = now + min(self.pace.patience, self.pace.session)
        return self.feed(Input.OFFER if self.offered else Input.BEGIN, None, now)

    def repeat(self, now: float) -> list[Effect]:
        return [] if self.over else self.feed(Input.REQUEST, None, now)

    @property
    def proved(self) -> bool:
        """Whether the peer has answered: its address is no forged one."""
        return self.state in (State.SENDING, State.DONE)

    def is_peer(self, source: Address) -> bool:
        return source == self.peer

    def judge(self, packet: Packet) -> Input:
        if not isinstance(packet, Ack):
            return Input.ILLEGAL
        moved = (packet.block - self.acknowledged) & 0xFFFF
        if self.state is State.OFFERED:
            return Input.ACK_OFFER if moved == 0 else Input.ACK_OLD
        if not 0 < moved <= self.sent - self.acknowledged:
            return Input.ACK_OLD
        return Input.ACK_ALL if self.acknowledged + moved == self.blocks else Input.ACK_SOME

    def alarm(self) -> Input:
        return super().alarm() if self.state is State.SENDING else Input.SILENCE

    def send_window(self, out: list[Effect]) -> None:
        """What is not acknowledged, as far as the window goes."""
        self.sent = min(self.acknowledged + self.terms.window, self.blocks)
        for block in range(self.acknowledged, self.sent):
            start = block * self.terms.block_size
            self.send(Data((block + 1) & 0xFFFF, self.content[start : start + self.terms.block_size]), out)


def offer(machine: Sender, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.send(OptionAck(machine.offered), out)


def send_first(machine: Sender, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.send_window(out)


def answer_again(machine: Sender, _payload: None, _now: float, out: list[Effect]) -> None:
    """Our first datagram was lost, or the request was doubled."""
    if machine.repeats < REPEATS:
        machine.repeats += 1
        if machine.state is State.OFFERED:
            machine.send(OptionAck(machine.offered), out)
        else:
            machine.send_window(out)


def begin(machine: Sender, _payload: Any, now: float, out: list[Effect]) -> None:
    machine.send_window(out)
    machine.progress(now)


def advance(machine: Sender, payload: tuple[Ack, Address], now: float, out: list[Effect]) -> None:
    """An ACK inside the window also says that what follows it was lost: it is sent again (RFC 7440 4)."""
    machine.acknowledged += (payload[0].block - machine.acknowledged) & 0xFFFF
    begin(machine, payload, now, out)


def resend(machine: Sender, _payload: None, now: float, out: list[Effect]) -> None:
    machine.send_window(out)
    machine.back_off(now)


def complete(machine: Sender, _payload: Any, _now: float, out: list[Effect]) -> None:
    out.append(Completed(len(machine.content)))


S, I = State, Input  # noqa: E741 - the table reads by rows

SENDER: Table = {
    (S.READY, I.OFFER): (offer, S.OFFERED),
    (S.READY, I.BEGIN): (send_first, S.FIRST),
    (S.OFFERED, I.REQUEST): (answer_again, S.OFFERED),
    (S.OFFERED, I.ACK_OFFER): (begin, S.SENDING),
    (S.OFFERED, I.ACK_OLD): (absorb, S.OFFERED),
    (S.OFFERED, I.ERROR): (peer_failed, S.FAILED),  # the client does not like our terms
    (S.OFFERED, I.ILLEGAL): (refuse_illegal, S.FAILED),
    (S.OFFERED, I.SILENCE): (fall_silent, S.FAILED),
    (S.FIRST, I.REQUEST): (answer_again, S.FIRST),
    (S.FIRST, I.ACK_SOME): (advance, S.SENDING),
    (S.FIRST, I.ACK_ALL): (complete, S.DONE),
    (S.FIRST, I.ACK_OLD): (absorb, S.FIRST),
    (S.FIRST, I.ERROR): (peer_failed, S.FAILED),
    (S.FIRST, I.ILLEGAL): (refuse_illegal, S.FAILED),
    (S.FIRST, I.SILENCE): (fall_silent, S.FAILED),
    (S.SENDING, I.REQUEST): (absorb, S.SENDING),
    (S.SENDING, I.ACK_SOME): (advance, S.SENDING),
    (S.SENDING, I.ACK_ALL): (complete, S.DONE),
    (S.SENDING, I.ACK_OLD): (absorb, S.SENDING),
    (S.SENDING, I.ERROR): (peer_failed, S.FAILED),
    (S.SENDING, I.ILLEGAL): (refuse_illegal, S.FAILED),
    (S.SENDING, I.RESEND): (resend, S.SENDING),
    (S.SENDING, I.SILENCE): (fall_silent, S.FAILED),
    (S.SENDING, I.OVERTIME): (end_session, S.FAILED),
}
Sender.table = SENDER
