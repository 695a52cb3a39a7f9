"""What the tests of the load generator share: a lab with a few phones."""

from __future__ import annotations

import pytest

from cubeload.product import Lab, make_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(tmp_path_factory.mktemp("cubeload"), phones=12)
