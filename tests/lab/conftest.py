"""One lab PKI for the whole folder: RSA keys are what costs time."""

from __future__ import annotations

import pytest

from cubelab.pki.lab import Lab, init_lab

NODE = "127.51.1.11"


@pytest.fixture(scope="session")
def lab_pki(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("lab"), nodes={"pub": (NODE,)}, cube=("127.51.1.1",))
