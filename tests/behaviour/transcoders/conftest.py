"""The fixture `member`: every member of the pool, or with `@needs(...)` those that declare a capability."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from tests.behaviour.transcoders.members import MEMBERS, Member
from tests.behaviour.transcoders.rows import needed
from tests.media import builds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "member" not in metafunc.fixturenames:
        return
    wanted = needed(metafunc.function)
    chosen = [member for member in MEMBERS if wanted <= member.capabilities]
    assert chosen, f"no member declares {wanted}"
    metafunc.parametrize("member", chosen, ids=[member.name for member in chosen], indirect=True)


@pytest.fixture
def member(request: pytest.FixtureRequest, tmp_path: Path) -> Member:
    kind: type[Member] = request.param
    return kind(tmp_path)


@pytest.fixture(scope="package", autouse=True)
def worker() -> Iterator[None]:
    """The native media worker as its sources are now, where it can be built."""
    found = {} if builds.missing() else {"CUBEPROXY_MEDIA_WORKER": str(builds.worker("plain"))}
    with mock.patch.dict(os.environ, found):
        yield
