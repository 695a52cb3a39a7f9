"""Tests here may be coroutines. One PKI of two nodes, and one of strangers: RSA keys are what costs time."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from cubelab.pki.lab import Lab, init_lab
from tests.lab.boot.stage import NODES

PATIENCE = 60.0  # s for one test


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}), PATIENCE))
    return True


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("pki"), nodes={name: (host,) for name, host in NODES.items()})


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Another company's cluster: the same names everywhere, other keys."""
    return init_lab(tmp_path_factory.mktemp("strangers"), nodes={name: (host,) for name, host in NODES.items()})
