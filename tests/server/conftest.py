"""The media tests run against every worker that there is: Python, and native over epoll and over io_uring."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest

from cubeproxy.protocols.errors import ConfigError
from cubeproxy.server.media_engine import choose
from tests.media import builds

SERVED = ("test_media_hostile", "test_media_orphan", "test_media_room", "test_media_service")
ENGINES = ("python", "epoll", "io_uring")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in SERVED:
        metafunc.parametrize("media_engine", ENGINES, indirect=True, scope="module")


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
