"""The media tests run against every worker that there is, or every native one: Python, epoll and io_uring."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest

from cubeproxy.protocols.errors import ConfigError
from cubeproxy.server.media_engine import choose
from tests.media import builds

ENGINES = ("python", "epoll", "io_uring")
SERVED = {
    "test_media_hostile": ENGINES,
    "test_media_lines": ENGINES[1:],
    "test_media_many": ENGINES[1:],
    "test_media_orphan": ENGINES,
    "test_media_room": ENGINES,
    "test_media_service": ENGINES,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    engines = SERVED.get(metafunc.module.__name__.rpartition(".")[2])
    if engines:
        metafunc.parametrize("media_engine", engines, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def media_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """`MediaService` starts these workers, also in processes that a test starts."""
    engine = getattr(request, "param", None)
    if engine is None:
        yield
        return
    settings = {"CUBEPROXY_MEDIA": engine}
    if engine != "python":
        if builds.missing():
            pytest.skip(builds.missing())
        settings |= builds.watch() | {"CUBEPROXY_MEDIA_WORKER": str(builds.worker())}
    with mock.patch.dict(os.environ, settings):
        if engine == "io_uring":
            try:
                choose(engine)
            except ConfigError as error:
                pytest.skip(str(error))
        yield
    assert not builds.found()
