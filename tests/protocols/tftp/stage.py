"""One end of a transfer on a stage: each step says what comes and what must go out."""

from __future__ import annotations

from typing import Generic, TypeVar

from cubeproxy.protocols.tftp import (
    Ack,
    Completed,
    Data,
    Effect,
    Error,
    Failed,
    OptionAck,
    Packet,
    Received,
    Request,
    Send,
    parse_packet,
)
from cubeproxy.protocols.tftp.transfer import State, Transfer
from cubeproxy.protocols.values import Address

PEER: Address = ("127.0.10.9", 50123)
STRANGER: Address = ("127.0.66.6", 50123)
SERVER: Address = ("127.0.20.1", 69)
SERVER_TID: Address = ("127.0.20.1", 42001)


def word(packet: Packet) -> str:
    """A packet in a few letters."""
    match packet:
        case Request():
            return f"RRQ {packet.file_name}" + "".join(f" {k}={v}" for k, v in packet.options.items())
        case Data():
            return f"DATA {packet.block} {len(packet.payload)}"
        case Ack():
            return f"ACK {packet.block}"
        case Error():
            return f"ERROR {packet.code}"
        case OptionAck():
            return "OACK" + "".join(f" {k}={v}" for k, v in packet.options.items())


def told(effect: Effect) -> str:
    match effect:
        case Send():
            return word(parse_packet(effect.data))
        case Completed():
            return f"completed {effect.octets}"
        case Received():
            return f"received {len(effect.content)}"
        case Failed():
            return f"failed {effect.cause}"


Machine = TypeVar("Machine", bound=Transfer)


class Stage(Generic[Machine]):
    """`now` is the clock, `source` where packets come from."""

    def __init__(self, machine: Machine, source: Address = PEER) -> None:
        self.machine = machine
        self.source = source
        self.now = 0.0
        self.sent: list[Send] = []

    def on(self, packet: Packet | bytes, *expected: str, state: State | None = None) -> None:
        data = packet if isinstance(packet, bytes) else packet.serialise()
        self.check(self.machine.receive(data, self.source, self.now), expected, state)

    def at(self, time: float, *expected: str, state: State | None = None) -> None:
        """The alarm goes off at `time`, and not before."""
        assert self.machine.deadline == time
        assert self.machine.timeout(time - 0.001) == []
        self.now = time
        self.check(self.machine.timeout(time), expected, state)

    def check(self, out: list[Effect], expected: tuple[str, ...], state: State | None) -> None:
        assert [told(effect) for effect in out] == list(expected)
        assert state is None or self.machine.state is state
        self.sent += [effect for effect in out if isinstance(effect, Send)]
