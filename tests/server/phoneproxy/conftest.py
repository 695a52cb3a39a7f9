"""A lab's certificates, and an nvram folder that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cubelab.pki.lab import Lab, init_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("lab"), devices=("SEP001122334455",))


@pytest.fixture
def nvram(lab: Lab, tmp_path: Path) -> Path:
    for name in ("CUBE_SS", "CAPF_PUB", "CCM_PUB"):
        shutil.copytree(lab.nvram / name, tmp_path / "nvram" / name)
    return tmp_path / "nvram"
