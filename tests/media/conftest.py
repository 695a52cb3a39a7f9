"""The packet path's tests run against every relay that there is: Python, and both faces of the native engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cubeproxy.media.native.library import Engine
from cubeproxy.media.relay import Session

from . import builds
from .native_hook import NativeSession
from .phones import Line

RELAYED = (
    "test_counters",
    "test_crypto",
    "test_datagrams",
    "test_heard_on_both_legs",
    "test_ipv6",
    "test_numbers",
    "test_pass_through",
    "test_payload_types",
    "test_reports",
    "test_reports_by_tshark",
    "test_rollovers",
    "test_sources",
)
RELAYS = ("python", "native", "library")
PYTHON_ONLY = ("test_keys_are_never_shown",)  # looks at objects that only Python has


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in RELAYED:
        relays = ["python"] if metafunc.function.__name__ in PYTHON_ONLY else RELAYS
        metafunc.parametrize("relay", relays, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def relay(request: pytest.FixtureRequest) -> Iterator[None]:
    """`Line` calls through this relay."""
    if getattr(request, "param", "python") == "python":
        yield
        return
    if builds.missing():
        pytest.skip(builds.missing())
    if request.param == "library":
        Line.make_session = Engine(builds.worker("library")).session
        yield
        Line.make_session = Session
        return
    program = builds.worker()
    sessions: list[NativeSession] = []

    def make() -> NativeSession:
        while len(sessions) > 20:  # hypothesis makes thousands
            assert sessions.pop(0).hook.end() == ""
        sessions.append(NativeSession(program))
        return sessions[-1]

    Line.make_session = make
    yield
    Line.make_session = Session
    complaints = [session.hook.end() for session in sessions]
    assert not any(complaints), complaints
