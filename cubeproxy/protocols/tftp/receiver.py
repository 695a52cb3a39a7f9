"""The client's end of a read transfer: we ask for a file and take it.

The server's first datagram comes from a port of its own, which then is the peer (RFC 1350 4). A block is acknowledged
when the window is full, at the end, and when one is missing; what comes out of order is not kept. After the last block
the machine stays a while to repeat its ACK. What is larger than `largest` octets is refused.
"""

from __future__ import annotations

from typing import Any

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.tftp.options import PLAIN, Terms, agree, ask
from cubeproxy.protocols.tftp.packets import Ack, Data, Error, ErrorCode, OptionAck, Packet, Request
from cubeproxy.protocols.tftp.transfer import (
    NEVER,
    PACE,
    Effect,
    Failed,
    Input,
    Pace,
    Received,
    Send,
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

LARGEST = 2 * 1024 * 1024  # octets; phones stop there too


class Receiver(Transfer):
    """`wanted` are the terms to ask for; PLAIN asks for none (RFC 1350)."""

    kind = "client"

    def __init__(
        self, file_name: str, server: Address, wanted: Terms = PLAIN, pace: Pace = PACE, largest: int = LARGEST
    ) -> None:
        super().__init__(pace)
        self.server = server
        self.request = Request(file_name, options=ask(wanted))
        self.largest = largest
        self.content = bytearray()
        self.blocks = 0  # received in order
        self.told = 0  # acknowledged
        self.gap_told = False

    def start(self, now: float) -> list[Effect]:
        self.over_at = now + self.pace.session
        return self.feed(Input.BEGIN, None, now)

    def is_peer(self, source: Address) -> bool:
        return source == self.peer if self.peer is not None else source[0] == self.server[0]

    def receive(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """The first datagram from the server's host makes its sender the peer, if it is one that can begin."""
        if self.peer is None and self.state is State.ASKED and self.is_peer(source):
            self.peer = source
            out = super().receive(data, source, now)
            if self.state is State.ASKED:
                self.peer = None
            return out
        return super().receive(data, source, now)

    def judge(self, packet: Packet) -> Input:
        match packet:
            case Data():
                return self._judge_data(packet)
            case OptionAck() if self.blocks:
                return Input.DATA_OTHER
            case OptionAck():
                return self._judge_options(packet)
            case _:
                return Input.ILLEGAL

    def _judge_data(self, packet: Data) -> Input:
        if self.state is State.DALLYING or packet.block != (self.blocks + 1) & 0xFFFF:
            return Input.DATA_OTHER
        if len(packet.payload) > self.terms.block_size:
            return Input.ILLEGAL
        if len(self.content) + len(packet.payload) > self.largest:
            return Input.TOO_LARGE
        return Input.DATA_NEXT if len(packet.payload) == self.terms.block_size else Input.DATA_LAST

    def _judge_options(self, packet: OptionAck) -> Input:
        try:
            terms = agree(self.request.options, packet.options)
        except RemoteProtocolError:
            return Input.BAD_OACK
        return Input.TOO_LARGE if (terms.size or 0) > self.largest else Input.OACK

    def alarm(self) -> Input:
        return Input.DALLIED if self.state is State.DALLYING else super().alarm()

    def acknowledge(self, out: list[Effect]) -> None:
        self.told = self.blocks
        self.send(Ack(self.blocks & 0xFFFF), out)


def request_file(machine: Receiver, _payload: None, now: float, out: list[Effect]) -> None:
    out.append(Send(machine.request.serialise(), machine.server))
    machine.progress(now)


def request_again(machine: Receiver, _payload: None, now: float, out: list[Effect]) -> None:
    out.append(Send(machine.request.serialise(), machine.server))
    machine.back_off(now)


def agree_terms(machine: Receiver, payload: tuple[OptionAck, Address], now: float, out: list[Effect]) -> None:
    machine.terms = agree(machine.request.options, payload[0].options)
    machine.acknowledge(out)
    machine.progress(now)


def take(machine: Receiver, payload: tuple[Data, Address], now: float, out: list[Effect]) -> None:
    machine.content += payload[0].payload
    machine.blocks += 1
    machine.gap_told = False
    if machine.blocks - machine.told == machine.terms.window:
        machine.acknowledge(out)
    machine.progress(now)


def finish(machine: Receiver, payload: tuple[Data, Address], now: float, out: list[Effect]) -> None:
    """All is there. Whoever asked has it now; the last ACK may still have to be repeated."""
    machine.content += payload[0].payload
    machine.blocks += 1
    machine.acknowledge(out)
    out.append(Received(bytes(machine.content)))
    machine.content = bytearray()
    machine.over_at = NEVER
    machine.resend_at = now + machine.pace.last


def say_where(machine: Receiver, _payload: Any, _now: float, out: list[Effect]) -> None:
    """A block again: our ACK was lost. A gap in a window: told once, else the server starts again for each block."""
    if machine.terms.window == 1 or not machine.gap_told:
        machine.gap_told = True
        machine.acknowledge(out)


def acknowledge_again(machine: Receiver, _payload: Any, now: float, out: list[Effect]) -> None:
    machine.acknowledge(out)
    machine.back_off(now)


def repeat_last(machine: Receiver, _payload: Any, _now: float, out: list[Effect]) -> None:
    machine.acknowledge(out)


def refuse_options(machine: Receiver, payload: tuple[OptionAck, Address], _now: float, out: list[Effect]) -> None:
    machine.send(Error(ErrorCode.OPTIONS, "Options not asked for"), out)
    out.append(Failed("options", f"the server wants {dict(payload[0].options)}"))


def refuse_size(machine: Receiver, _payload: Any, _now: float, out: list[Effect]) -> None:
    machine.send(Error(ErrorCode.FULL, "File too large"), out)
    machine.content = bytearray()
    out.append(Failed("too-large", f"more than {machine.largest} octets"))


def give_up(_machine: Receiver, _payload: None, _now: float, out: list[Effect]) -> None:
    """The session's time is over before the server's port is known: there is nobody to tell."""
    out.append(Failed("session-timeout", "the server has not answered"))


S, I = State, Input  # noqa: E741 - the table reads by rows

RECEIVER: Table = {
    (S.READY, I.BEGIN): (request_file, S.ASKED),
    (S.ASKED, I.OACK): (agree_terms, S.RECEIVING),
    (S.ASKED, I.BAD_OACK): (refuse_options, S.FAILED),
    (S.ASKED, I.DATA_NEXT): (take, S.RECEIVING),  # a server without options
    (S.ASKED, I.DATA_LAST): (finish, S.DALLYING),
    (S.ASKED, I.DATA_OTHER): (absorb, S.ASKED),  # left over from an earlier transfer
    (S.ASKED, I.TOO_LARGE): (refuse_size, S.FAILED),
    (S.ASKED, I.ERROR): (peer_failed, S.FAILED),
    (S.ASKED, I.ILLEGAL): (refuse_illegal, S.FAILED),
    (S.ASKED, I.RESEND): (request_again, S.ASKED),
    (S.ASKED, I.SILENCE): (fall_silent, S.FAILED),
    (S.ASKED, I.OVERTIME): (give_up, S.FAILED),
    (S.RECEIVING, I.OACK): (repeat_last, S.RECEIVING),  # our ACK of it was lost
    (S.RECEIVING, I.BAD_OACK): (refuse_options, S.FAILED),
    (S.RECEIVING, I.DATA_NEXT): (take, S.RECEIVING),
    (S.RECEIVING, I.DATA_LAST): (finish, S.DALLYING),
    (S.RECEIVING, I.DATA_OTHER): (say_where, S.RECEIVING),
    (S.RECEIVING, I.TOO_LARGE): (refuse_size, S.FAILED),
    (S.RECEIVING, I.ERROR): (peer_failed, S.FAILED),
    (S.RECEIVING, I.ILLEGAL): (refuse_illegal, S.FAILED),
    (S.RECEIVING, I.RESEND): (acknowledge_again, S.RECEIVING),
    (S.RECEIVING, I.SILENCE): (fall_silent, S.FAILED),
    (S.RECEIVING, I.OVERTIME): (end_session, S.FAILED),
    (S.DALLYING, I.DATA_OTHER): (repeat_last, S.DALLYING),
    (S.DALLYING, I.ERROR): (absorb, S.DALLYING),
    (S.DALLYING, I.ILLEGAL): (absorb, S.DALLYING),
    (S.DALLYING, I.DALLIED): (absorb, S.DONE),
}
Receiver.table = RECEIVER
