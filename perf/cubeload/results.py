"""What a benchmark found, and how it is recorded: JSON for machines, Markdown for people.

A result names the machine, how it was measured and what was not. A goal that is missed is a result too; only a
measurement that cannot be believed (calls failed, counts disagree, a part broke off) is a fault.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cubeload.processes import machine

VERSIONS = ("cubeproxy", "sippy", "uvloop", "pyOpenSSL", "cryptography", "pylibsrtp")
Row = Mapping[str, object]


@dataclass(slots=True)
class Goal:
    """One figure that was aimed at. `most` or `least` says on which side of `wanted` it should be."""

    text: str
    wanted: float
    got: float
    unit: str
    most: bool = True

    @property
    def met(self) -> bool:
        return self.got <= self.wanted if self.most else self.got >= self.wanted

    def __str__(self) -> str:
        limit = "at most" if self.most else "at least"
        verdict = "met" if self.met else "MISSED"
        return f"{self.text}: {self.got:g} {self.unit} ({limit} {self.wanted:g}: {verdict})"


@dataclass(slots=True)
class Section:
    """One part of a benchmark. `series` are curves for a plot: name -> (x, y) points."""

    name: str
    title: str
    method: str
    not_measured: str
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    plot: str = ""  # file name, once it was drawn
    axes: tuple[str, str] = ("", "")
    upright: bool = False  # a line for each row, where there are more results than figures


def document(sections: Sequence[Section], command: str) -> dict[str, object]:
    return {
        "command": command,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in VERSIONS},
        "sections": [
            {**asdict(section), "goals": [{**asdict(g), "met": g.met} for g in section.goals]} for section in sections
        ],
    }


def record(folder: Path, sections: Sequence[Section], command: str) -> tuple[Path, Path]:
    """Writes `bench.json` and `bench.md` there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = document(sections, command)
    data, text = folder / "bench.json", folder / "bench.md"
    data.write_text(json.dumps(found, indent=1) + "\n")
    text.write_text(markdown(found, sections))
    return data, text


def markdown(found: Mapping[str, object], sections: Sequence[Section]) -> str:
    about = found["machine"]
    assert isinstance(about, Mapping)
    versions = found["versions"]
    assert isinstance(versions, Mapping)
    lines = [
        "# Benchmark results",
        "",
        f"`{found['command']}` on {found['when']}: {about['cores']} cores ({about['cpu']}), {about['memory_GiB']} GiB, "
        f"kernel {about['kernel']}, Python {found['python']}, "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + f". Load average before: {about['load_before']}; a loop of 1,000,000 multiplications took "
        f"{about['python_loop_ms']} ms of CPU.",
        "",
        "Absolute figures move with the machine and with what else runs on it: compare within one run.",
    ]
    for section in sections:
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    lines = [f"## {section.title}", ""]
    lines += [f"- {goal}" for goal in section.goals]
    lines += [f"- {finding}" for finding in section.findings]
    lines += [f"- **not to be believed: {fault}**" for fault in section.faults]
    if section.rows:
        lines += ["", *(upright if section.upright else table)(section.rows)]
    if section.plot:
        lines += ["", f"![{section.title}]({section.plot})"]
    return [*lines, "", f"How: {section.method}", "", f"Not measured: {section.not_measured}"]


def table(rows: Sequence[Row]) -> list[str]:
    """A row for each figure and a column for each result: there are more figures than results."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = ["", *(str(number) for number in range(1, len(rows) + 1))]
    body = [[name.replace("_", " "), *(cell(row.get(name, "")) for row in rows)] for name in names]
    return [_line(head), _line(["--"] * len(head)), *(_line(line) for line in body)]


def upright(rows: Sequence[Row]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    body = [[cell(row.get(name, "")) for name in names] for row in rows]
    return [_line(names), _line(["--"] * len(names)), *(_line(line) for line in body)]


def cell(value: object) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {count}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
