"""A turnstile, to try the harness on."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Any


class Turn(IntEnum):
    LOCKED = auto()
    OPEN = auto()


class Do(IntEnum):
    COIN = auto()
    PUSH = auto()


def count(seen: list[str]) -> None:
    seen.append("coin")


def jam(seen: list[str]) -> None:
    while not seen:
        pass


def nothing(_seen: list[str]) -> None:
    pass


TURNSTILE: dict[tuple[Turn, Do], tuple[Any, Turn]] = {
    (Turn.LOCKED, Do.COIN): (count, Turn.OPEN),
    (Turn.LOCKED, Do.PUSH): (nothing, Turn.LOCKED),
    (Turn.OPEN, Do.PUSH): (nothing, Turn.LOCKED),
}


def run(*inputs: Do) -> tuple[Turn, list[str]]:
    state, seen = Turn.LOCKED, list[str]()
    for one in inputs:
        action, state = TURNSTILE[state, one]
        action(seen)
    return state, seen
