"""Mutates a transition table in place, row by row, and asks the playbooks whether they notice.

In one process: the playbooks are collected once, and the last to notice something runs first. A
mutant that makes a playbook hang is noticed by a timer.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from types import FrameType
from typing import Any

from tests.mutation.playbooks import Playbook, collect
from tests.mutation.tables import Held

Row = tuple[Any, Any]  # action, next state
Table = dict[tuple[Any, Any], Row]

LONGEST = 5.0  # s, one playbook under one mutant


@dataclass
class Mutant:
    """What stands in the place of the row at `key`; None deletes it."""

    name: str
    key: tuple[Any, Any]
    row: Row | None


@dataclass
class Verdict:
    """What a run over one table found. All lists are empty when every row is held."""

    tried: int
    survivors: list[str]  # noticed by no playbook, and not explained
    caught: list[str]  # explained as equivalent, but noticed
    stale: list[str]  # explanations that fit no mutant

    @property
    def good(self) -> bool:
        return not (self.survivors or self.caught or self.stale)


class Hang(BaseException):
    """A playbook ran too long under a mutant. No Exception, so that no handler in its way swallows it."""


def find_table(path: str) -> Table:
    module, _, name = path.rpartition(".")
    table = getattr(importlib.import_module(module), name)
    assert isinstance(table, dict), f"{path} is no dict that can be changed in place"
    return table


def mutants(table: Table) -> Iterator[Mutant]:
    """Each row deleted, sent to every other state, and with every other action of the table. Enum order."""
    states = {state for state, _ in table} | {state for _, state in table.values()}
    actions = {action for action, _ in table.values()}
    for key, (action, state) in list(table.items()):
        where = f"{_word(key[0])} {_word(key[1])}"
        yield Mutant(f"{where} deleted", key, None)
        for other in sorted(states - {state}, key=_word):
            yield Mutant(f"{where} to {_word(other)}", key, (action, other))
        for another in sorted(actions - {action}, key=_word):
            yield Mutant(f"{where} does {_word(another)}", key, (another, state))


def _word(thing: Any) -> str:
    return thing.name if isinstance(thing, Enum) else str(getattr(thing, "__name__", thing))


@contextmanager
def applied(table: Table, mutant: Mutant) -> Iterator[None]:
    """The table with the mutant in it; whatever happens, the row is put back."""
    original = table[mutant.key]
    try:
        if mutant.row is None:
            del table[mutant.key]
        else:
            table[mutant.key] = mutant.row
        yield
    finally:
        table[mutant.key] = original


def notices(playbook: Playbook) -> bool:
    """Whether the playbook fails, hangs included. A skip is no failure."""
    try:
        with _limit():
            playbook()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return type(error).__name__ != "Skipped"
    return False


@contextmanager
def _limit() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judge(held: Held) -> Verdict:
    """Try every mutant of the table."""
    table = find_table(held.table)
    playbooks = [playbook for path in held.playbooks for playbook in collect(importlib.import_module(path))]
    assert playbooks, f"{held.table}: no playbook in {', '.join(held.playbooks)}"
    failing = [playbook for playbook in playbooks if notices(playbook)]
    assert not failing, f"{held.table}: {len(failing)} of {len(playbooks)} playbooks fail without any mutant"
    verdict = Verdict(0, [], [], [])
    used: set[str] = set()
    for mutant in mutants(table):
        verdict.tried += 1
        with applied(table, mutant):
            caught = _caught(playbooks)
        explained = [pattern for pattern in held.equivalent if fnmatchcase(mutant.name, pattern)]
        used.update(explained)
        if not caught and not explained:
            verdict.survivors.append(mutant.name)
        if caught and explained:
            verdict.caught.append(mutant.name)
    verdict.stale = [pattern for pattern in held.equivalent if pattern not in used]
    return verdict


def _caught(playbooks: list[Playbook]) -> bool:
    """Run until one notices; it moves to the front, since the next mutant is likely to be of the same row."""
    for place, playbook in enumerate(playbooks):
        if notices(playbook):
            playbooks.insert(0, playbooks.pop(place))
            return True
    return False
