"""One lab under attack for all tests of a module: each leaves it as it was."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from tests.behaviour.siege import Siege


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # an attacker opens thousands of connections
    with Siege(tmp_path_factory.mktemp("siege")) as siege:
        yield siege
