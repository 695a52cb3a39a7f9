"""Addresses of their own for interop tests, and the programs' logs when a test fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from tests.interop.border_lab import BorderLab, Places
from tests.interop.programs.addresses import ADDRESSES, Addresses
from tests.interop.programs.process import tail

HERE = Path(__file__).parent
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.interop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def addresses() -> Addresses:
    return ADDRESSES


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory, addresses: Addresses) -> tuple[Places, Lab]:
    """One set of certificates for all tests, with the addresses that they name."""
    return BorderLab.pki_for(tmp_path_factory.mktemp("pki"), addresses)


@pytest.fixture
def host(addresses: Addresses) -> str:
    """A loopback address that nobody else uses."""
    return addresses.take()


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where the programs of one test keep their files; the ends of their logs are shown when the test fails."""
    yield tmp_path
    if request.node.stash.get(FAILED, False):
        for log in sorted(tmp_path.glob("*/*.log")):
            print(tail(log))
