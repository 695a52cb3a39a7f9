"""Plain `make` tells what there is to make, and makes nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

INSIDE = {"help", "packages"}  # of use to other targets


def test_plain_make_lists_every_target_and_makes_none(root: Path, tmp_path: Path) -> None:
    makefile = root / "Makefile"
    command = ["make", "--no-print-directory", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    phony = re.search(r"^\.PHONY: (.*)$", makefile.read_text(), re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^make (\w+) ", done.stdout, re.MULTILINE)
    assert set(listed) == set(phony[1].split()) - INSIDE
    assert list(tmp_path.iterdir()) == []
