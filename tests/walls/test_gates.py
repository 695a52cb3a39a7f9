"""Two judgements over the whole session: nothing skipped under CI, and branch coverage of the pure rooms."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from tests.plugins.session import SESSION, Skip

GATED_ROOMS = ("cubeproxy/protocols/", "cubeproxy/border/")
WORST_FILES = 15


def excused(skip: Skip) -> bool:
    """Only the corpora may be absent under CI, and only by the variable that names them."""
    return "corpora" in skip.fixtures and not os.environ.get("CUBEPROXY_CORPORA")


@pytest.mark.last
def test_nothing_is_skipped_under_ci(pytestconfig: pytest.Config) -> None:
    skips = [skip for skip in pytestconfig.stash[SESSION].skips if not excused(skip)]
    if os.environ.get("CI"):
        assert not skips, "\n".join(f"{skip.test}: {skip.reason}" for skip in skips)


def test_only_a_test_of_the_corpora_is_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBEPROXY_CORPORA", raising=False)
    assert excused(Skip("a", "", ("corpora",)))
    assert not excused(Skip("a", "", ()))
    monkeypatch.setenv("CUBEPROXY_CORPORA", "somewhere")
    assert not excused(Skip("a", "", ("corpora",)))


@dataclass(slots=True)
class Covered:
    """Branches and statements of one room."""

    branches: int = 0
    branches_run: int = 0
    statements: int = 0
    statements_run: int = 0

    def add(self, summary: dict[str, int]) -> None:
        self.branches += summary["num_branches"]
        self.branches_run += summary["covered_branches"]
        self.statements += summary["num_statements"]
        self.statements_run += summary["covered_lines"]

    @property
    def percent(self) -> float:
        """Branches run in percent, the number that the gate judges."""
        return 100 * self.branches_run / self.branches if self.branches else 0.0


@pytest.mark.last
@pytest.mark.coverage_gate
@pytest.mark.parametrize("room", GATED_ROOMS)
def test_branch_coverage(pytestconfig: pytest.Config, root: Path, tmp_path: Path, room: str) -> None:
    gate = pytestconfig.getoption("--coverage-gate")
    running = coverage.Coverage.current()
    assert running is not None, "--coverage-gate needs `coverage run -m pytest`"
    out = tmp_path / "coverage.json"
    running.json_report(outfile=str(out))
    files = {
        Path(name).resolve().relative_to(root).as_posix(): entry
        for name, entry in json.loads(out.read_text())["files"].items()
    }
    covered = Covered()
    rows = []
    for name, entry in files.items():
        if name.startswith(room):
            covered.add(entry["summary"])
            rows.append((entry["summary"]["missing_branches"], name, entry["missing_branches"]))
    text = f"{room}: {covered.percent:.2f} % of {covered.branches} branches, gate {gate} %"
    pytestconfig.stash[SESSION].lines.append(text)
    worst = [f"  {count:4d} {name} {where[:8]}" for count, name, where in sorted(rows, reverse=True)[:WORST_FILES]]
    assert covered.percent > gate, "\n".join([text, "missing branches:", *worst])
