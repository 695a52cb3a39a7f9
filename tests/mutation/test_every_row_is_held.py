"""No row of a transition table can be deleted, redirected or given another action without a playbook that fails."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from enum import Enum

import coverage
import pytest

import cubeproxy.border
import cubeproxy.protocols
from tests.mutation.mutants import find_table, judge
from tests.mutation.tables import TABLES, Held


@pytest.fixture(autouse=True)
def unmeasured() -> Iterator[None]:
    """A playbook that is cut off inside coverage's lock would leave it locked for every test that follows."""
    current = coverage.Coverage.current()
    if current is not None:
        current.stop()
    yield
    if current is not None:
        current.start()


@pytest.mark.parametrize("held", TABLES, ids=lambda held: held.table.rpartition(".")[2])
def test_every_row_is_held(held: Held) -> None:
    verdict = judge(held)
    assert verdict.survivors == [], "no playbook notices these"
    assert verdict.caught == [], "listed as equivalent, but a playbook notices them"
    assert verdict.stale == [], "explanations for mutants that do not exist"


def test_every_table_is_watched() -> None:
    """A table that is not in tests/mutation/tables.py yet: add its line there."""
    watched = {id(find_table(held.table)) for held in TABLES}
    assert [path for path, table in transition_tables() if id(table) not in watched] == []


def transition_tables() -> Iterator[tuple[str, dict[object, object]]]:
    """Every dict of the pure rooms that is (state, input) -> (action, state)."""
    for room in (cubeproxy.protocols, cubeproxy.border):
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, dict) and value and all(map(_is_row, value.items())):
                    yield f"{found.name}.{name}", value


def _is_row(item: tuple[object, object]) -> bool:
    match item:
        case ((Enum(), Enum()), (_, Enum())):
            return True
    return False
