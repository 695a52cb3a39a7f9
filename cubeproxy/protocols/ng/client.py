"""Requests to one engine over UDP: a lost datagram is sent again under the same cookie. Sans-IO.

The engine knows a cookie that it has answered and repeats its answer, so that a request is carried out once however
often it arrives. Cookies cannot be guessed; what comes with another one is a late repetition, and is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from secrets import token_hex
from typing import Generic, TypeVar

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.ng.messages import Command, Reply, read, write

WAITS = (0.25, 0.5, 1.0, 1.0)  # s after each sending; then nobody answers

Token = TypeVar("Token")


@dataclass(slots=True)
class Send:
    """A datagram for the engine. It may hold keys."""

    datagram: bytes


@dataclass(slots=True)
class Answered(Generic[Token]):
    token: Token
    reply: Reply


@dataclass(slots=True)
class Silent(Generic[Token]):
    """Nothing came back for any of the sendings."""

    token: Token


class State(Enum):
    WAITING = auto()
    DONE = auto()


class Input(Enum):
    REPLY = auto()
    ALARM = auto()
    LAST_ALARM = auto()


@dataclass(slots=True)
class _Request(Generic[Token]):
    token: Token
    datagram: bytes
    alarm: float
    sent: int = 1
    state: State = State.WAITING


Output = Send | Answered[Token] | Silent[Token]
Action = Callable[[_Request[Token], Reply | None, float], "Output[Token]"]


def _deliver(request: _Request[Token], reply: Reply | None, now: float) -> Output[Token]:
    return Answered(request.token, reply or Reply("error"))


def _repeat(request: _Request[Token], reply: Reply | None, now: float) -> Output[Token]:
    request.alarm = now + WAITS[request.sent]
    request.sent += 1
    return Send(request.datagram)


def _give_up(request: _Request[Token], reply: Reply | None, now: float) -> Output[Token]:
    return Silent(request.token)


TRANSITIONS: Mapping[tuple[State, Input], tuple[Action[object], State]] = {
    (State.WAITING, Input.REPLY): (_deliver, State.DONE),
    (State.WAITING, Input.ALARM): (_repeat, State.WAITING),
    (State.WAITING, Input.LAST_ALARM): (_give_up, State.DONE),
}


class NgClient(Generic[Token]):
    """`token` is whatever the owner wants back with the reply."""

    def __init__(self) -> None:
        self._requests: dict[bytes, _Request[Token]] = {}
        self.malformed = 0  # datagrams that were no reply

    @property
    def waiting(self) -> int:
        return len(self._requests)

    @property
    def deadline(self) -> float | None:
        return min((request.alarm for request in self._requests.values()), default=None)

    def ask(self, token: Token, command: Command, now: float) -> Send:
        cookie = token_hex(8).encode()
        datagram = write(cookie, command)
        self._requests[cookie] = _Request(token, datagram, now + WAITS[0])
        return Send(datagram)

    def receive(self, datagram: bytes, now: float) -> list[Output[Token]]:
        try:
            cookie, reply = read(datagram)
        except RemoteProtocolError:
            self.malformed += 1
            return []
        request = self._requests.get(cookie)
        return [self._input(cookie, request, Input.REPLY, reply, now)] if request is not None else []

    def timeout(self, now: float) -> list[Output[Token]]:
        out: list[Output[Token]] = []
        for cookie, request in list(self._requests.items()):
            if request.alarm <= now:
                alarm = Input.ALARM if request.sent < len(WAITS) else Input.LAST_ALARM
                out.append(self._input(cookie, request, alarm, None, now))
        return out

    def forget(self) -> list[Token]:
        """Wait for nothing any more; for what it had been waited."""
        tokens = [request.token for request in self._requests.values()]
        self._requests.clear()
        return tokens

    def _input(
        self, cookie: bytes, request: _Request[Token], what: Input, reply: Reply | None, now: float
    ) -> Output[Token]:
        action, request.state = TRANSITIONS[request.state, what]
        if request.state is State.DONE:
            del self._requests[cookie]
        output: Output[Token] = action(request, reply, now)  # type: ignore[arg-type, assignment]
        return output
