"""Results as they are recorded under `perf/results/`: JSON with the machine and how it was measured, and a table."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cubeload.processes import machine

VERSIONS = ("cubeproxy", "sippy", "uvloop", "pyOpenSSL", "cryptography", "pylibsrtp")


def record(path: Path, name: str, method: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes one benchmark. `method` says in words what was measured how, and what was not."""
    document = {
        "benchmark": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in VERSIONS},
        "method": method,
        "results": list(rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def show(title: str, rows: Sequence[Mapping[str, object]], console: Console | None = None) -> None:
    """A column for each result: a terminal is narrow, and there are more figures than systems."""
    table = Table(title=title, show_header=False)
    table.add_column()
    for _ in rows:
        table.add_column(justify="right")
    for name in rows[0] if rows else ():
        table.add_row(name.replace("_", " "), *(str(row[name]) for row in rows))
    (console or Console()).print(table)
