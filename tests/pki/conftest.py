"""A lab's certificates, made once a session."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from cubelab.pki.lab import Identity, Lab, init_lab
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("lab"), now=NOW)


@pytest.fixture(scope="session")
def sample_b(root: Path) -> Config:
    return parse_config((root / "lab" / "configs" / "sample-b.ios").read_text())


def presented(identity: Identity) -> list[x509.Certificate]:
    """What a peer with this identity sends in the handshake."""
    return x509.load_pem_x509_certificates(identity.certificate.read_bytes())
