"""Filling a trustpoint's folder."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.pki.enrol import authenticate, describe, enrol_selfsigned
from cubeproxy.pki.identity import identify
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import TrustError
from tests.pki.conftest import NOW, presented


def test_the_command_that_an_error_proposes_mends_it(lab: Lab, sample_b: Config, tmp_path: Path) -> None:
    nvram = Path(shutil.copytree(lab.nvram, tmp_path / "nvram"))
    shutil.rmtree(nvram / "CAPF_SUB")
    sub = parse_config("crypto pki trustpoint CAPF_SUB\n enrollment terminal\n")
    store = Store(nvram, {**sample_b.trustpoints, **sub.trustpoints})
    phone = presented(lab.phones["SEP001122334466"])
    with pytest.raises(TrustError) as refused:
        identify(phone, store.anchors(), NOW)
    assert refused.value.fix == f"cubeproxy pki authenticate CAPF_SUB --ca capf-sub.pem --nvram {nvram}"
    (authority,) = authenticate(nvram, "CAPF_SUB", lab.capf["sub"].certificate.read_bytes())
    assert "CN=CAPF-4e5f6071" in describe(authority)
    assert store.reload() == []
    assert identify(phone, store.anchors(), NOW).trustpoint == "CAPF_SUB"


def test_what_is_no_certificate_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="no certificate in PEM"):
        authenticate(tmp_path, "CAPF_SUB", b"nonsense")
    assert list(tmp_path.iterdir()) == []


def test_a_self_signed_trustpoint_enrols_itself_once(tmp_path: Path) -> None:
    config = parse_config("crypto pki trustpoint CUBE_SS\n enrollment selfsigned\n")
    certificate = enrol_selfsigned(tmp_path, "CUBE_SS", "cube.lab.example", NOW)
    store = Store(tmp_path, config.trustpoints)
    assert store.events == []
    assert store.own("CUBE_SS").chain == (certificate,)
    assert stat.S_IMODE((tmp_path / "CUBE_SS" / "key.pem").stat().st_mode) == 0o600
    with pytest.raises(TrustError, match="has a key already"):
        enrol_selfsigned(tmp_path, "CUBE_SS", "cube.lab.example", NOW)
    assert store.own("CUBE_SS").chain == (certificate,)
