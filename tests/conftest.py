"""What every test may ask for, and the plugins that judge the session as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.plugins.session", "tests.plugins.folders"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The public torture and flow corpora. Only tests that ask for this may skip under CI."""
    folder = os.environ.get("CUBEPROXY_CORPORA", "")
    if not folder:
        pytest.skip("CUBEPROXY_CORPORA is unset: it names the folder of the public corpora")
    path = Path(folder)
    assert (path / "manifest.json").is_file(), f"CUBEPROXY_CORPORA={folder} has no manifest.json"
    return path
