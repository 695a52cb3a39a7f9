"""A machine, a clock, and its outputs in words: every step is compared whole."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from cubeproxy.protocols.sccp.machine import (
    Connect,
    Deliver,
    Disconnect,
    FarmDown,
    FarmUp,
    Machine,
    Output,
    Probe,
    Ready,
    SessionFailed,
    Transmit,
)
from cubeproxy.protocols.values import Event


def word(output: Output) -> str:
    match output:
        case Transmit(message, version):
            return f"{type(message).__name__} {version}"
        case Connect(server):
            return f"connect {server[0]}"
        case Disconnect():
            return "disconnect"
        case Probe(server):
            return f"probe {server[0]}"
        case Deliver(message):
            return f"deliver {type(message).__name__}"
        case FarmUp(name, streams):
            return f"up {name} {streams}"
        case FarmDown(cause):
            return f"down: {cause}"
        case Ready(hosts):
            return f"ready {hosts[0][1]} {hosts[1][1]}"
        case SessionFailed(cause, text):
            return f"failed {cause}: {text}"
        case Event():
            return f"event {output.name}"


M = TypeVar("M", bound=Machine)


class Stage(Generic[M]):
    """`check` a step: what came out, the state, and when the machine wants to be called."""

    def __init__(self, machine: M) -> None:
        self.machine = machine
        self.now = 0.0
        self.outputs: Sequence[Output] = ()

    def check(self, outputs: Sequence[Output], *words: str, state: Enum, deadline: float | None) -> None:
        self.outputs = outputs
        assert [word(each) for each in outputs] == list(words)
        assert self.machine.state is state
        found: Any = self.machine.deadline  # type: ignore[attr-defined]
        assert found == deadline

    def message(self, kind: type[Any]) -> Any:
        """The one message of this kind in the last step."""
        (found,) = [
            each.message for each in self.outputs if isinstance(each, Transmit) and isinstance(each.message, kind)
        ]
        return found
