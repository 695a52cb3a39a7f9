"""One end of a CAPF session on a stage: each step says what comes and what must go out, in a few letters."""

from __future__ import annotations

from typing import Generic, TypeVar

from cubeproxy.protocols.capf import (
    Authenticate,
    Command,
    DeleteCertificate,
    Effect,
    Ended,
    GenerateKey,
    GiveCertificate,
    IssueCertificate,
    Prove,
    Send,
    StoreCertificate,
    parse_message,
)
from cubeproxy.protocols.capf.messages import message
from cubeproxy.protocols.capf.session import Session, State

SESSION = 2
DEVICE = "SEP001122334455"
DER = b"\x30\x82" + bytes(range(200))
KEY = b"\x30\x59" + bytes(50)

Machine = TypeVar("Machine", bound=Session)


def told(effect: Effect) -> str:
    match effect:
        case Send():
            found = parse_message(effect.data)
            values = " ".join(f"{tag}={value.hex()}" for tag, value in found.elements if len(value) <= 2)
            return f"{Command(found.command).name} {values}".strip()
        case Authenticate():
            return f"authenticate {effect.attempt.device} v{effect.attempt.version}"
        case IssueCertificate():
            return f"issue {effect.device} {effect.asked.curve.name if effect.asked.curve else effect.asked.bits}"
        case Prove():
            return f"prove {effect.session} {effect.mode.name if effect.mode is not None else '-'}"
        case GenerateKey():
            return f"generate {effect.asked.curve.name if effect.asked.curve else effect.asked.bits}"
        case StoreCertificate():
            return f"store {len(effect.certificate)}"
        case GiveCertificate():
            return "give"
        case DeleteCertificate():
            return "delete"
        case Ended():
            return f"ended {effect.cause} {effect.reason}"


class Stage(Generic[Machine]):
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.now = 0.0
        self.last: list[Effect] = []

    def on(self, command: Command, *elements: tuple[int, bytes], out: str = "", state: State | None = None) -> None:
        """A message of the peer. `out` has the effects, one after the other with "; " between."""
        data = message(command, SESSION, elements).serialise()
        self.check(self.machine.receive(data, self.now), out, state)

    def at(self, time: float, out: str, state: State | None = None) -> None:
        """The alarm goes off at `time`, and not before."""
        assert self.machine.deadline == time
        assert self.machine.timeout(time - 0.001) == []
        self.now = time
        self.check(self.machine.timeout(time), out, state)

    def check(self, effects: list[Effect], out: str, state: State | None = None) -> None:
        assert "; ".join(told(effect) for effect in effects) == out
        assert state is None or self.machine.state is state
        self.last = effects
