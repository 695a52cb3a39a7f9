"""The walls: what the linters and the type checker say about the whole checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent
TYPED = ["cubeproxy", "lab/cubelab", "perf/cubeload"]


def run(root: Path, *command: str) -> None:
    """The command's own output is the failure's text."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_finds_nothing(root: Path) -> None:
    run(root, sys.executable, "-m", "ruff", "check", ".")


def test_every_file_is_formatted(root: Path) -> None:
    run(root, sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.parametrize("package", TYPED)
def test_types_are_strict(root: Path, package: str) -> None:
    run(root, sys.executable, "-m", "mypy", package)


def test_no_room_imports_what_stands_above_it(root: Path) -> None:
    run(root, str(SCRIPTS / "lint-imports"))
