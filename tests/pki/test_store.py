"""Trustpoints from the configuration and from the nvram folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.pki.lab import Lab
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.pki.store import LARGEST, Store
from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import Severity


@pytest.fixture
def nvram(lab: Lab, tmp_path: Path) -> Path:
    """A lab's folder that a test may spoil."""
    return Path(shutil.copytree(lab.nvram, tmp_path / "nvram"))


def test_the_folder_fills_the_trustpoints_of_a_configuration(lab: Lab, sample_b: Config) -> None:
    store = Store(lab.nvram, sample_b.trustpoints)
    assert store.events == []
    assert set(store.anchors().certificates) == set(sample_b.trustpoints) - {"CUBE_SS"}
    own = store.own("CUBE_SS")
    assert own.chain[0].subject.rfc4514_string() == "CN=cube.lab.example"
    assert own.key.public_key() == own.chain[0].public_key()


def test_a_file_stands_in_the_place_of_the_hexadecimal_block(lab: Lab, sample_b: Config) -> None:
    (pasted,) = sample_b.trustpoints["CAPF_PUB"].ca_certificates
    (without,) = Store(None, sample_b.trustpoints).anchors().certificates["CAPF_PUB"]
    (with_folder,) = Store(lab.nvram, sample_b.trustpoints).anchors().certificates["CAPF_PUB"]
    assert without == x509.load_der_x509_certificate(pasted)
    assert with_folder != without
    assert with_folder.subject == without.subject


def test_the_hexadecimal_block_stays_where_there_is_no_file(nvram: Path, sample_b: Config) -> None:
    shutil.rmtree(nvram / "CAPF_SUB")
    store = Store(nvram, sample_b.trustpoints)
    assert [
        found.public_bytes(Encoding.DER) for found in store.anchors().certificates["CAPF_SUB"]
    ] == sample_b.trustpoints["CAPF_SUB"].ca_certificates
    assert store.events == []


def test_only_configured_trustpoints_vouch(lab: Lab) -> None:
    config = parse_config("crypto pki trustpoint CAPF_SUB\n enrollment terminal\n")
    assert list(Store(lab.nvram, config.trustpoints).anchors().certificates) == ["CAPF_SUB"]


def test_a_trustpoint_without_its_authority_is_not_authenticated(tmp_path: Path) -> None:
    config = parse_config("crypto pki trustpoint CAPF_SUB\n enrollment terminal\n")
    store = Store(tmp_path, config.trustpoints)
    assert store.anchors().unauthenticated == ["CAPF_SUB"]
    with pytest.raises(TrustError, match="CAPF_SUB is configured but not authenticated") as refused:
        store.certificates("CAPF_SUB")
    assert "ca.pem" in refused.value.fix


def test_the_proxys_own_certificate_vouches_for_nobody(lab: Lab, sample_b: Config) -> None:
    assert "CUBE_SS" not in Store(lab.nvram, sample_b.trustpoints).anchors().certificates


def test_without_a_configuration_every_subfolder_with_certificates_is_a_trustpoint(lab: Lab) -> None:
    store = Store(lab.nvram)
    assert set(store.material) == {
        "CUBE_SS", "CAPF_PUB", "CAPF_SUB", "CCM_PUB", "CCM_SUB", "Cisco_Manufacturing_CA", "CAP-RTP-001", "CAP-RTP-002"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "says"), [("cert.pem", "has no certificate of its own"), ("key.pem", "a certificate and not its key")]
)
def test_what_our_own_certificate_lacks_is_said(nvram: Path, missing: str, says: str) -> None:
    (nvram / "CUBE_SS" / missing).unlink()
    config = parse_config("crypto pki trustpoint CUBE_SS\n enrollment selfsigned\n")
    with pytest.raises(TrustError, match=says) as refused:
        Store(nvram, config.trustpoints).own("CUBE_SS")
    assert refused.value.trustpoint == "CUBE_SS"
    assert str(nvram / "CUBE_SS") in refused.value.fix


def test_a_key_that_belongs_to_another_certificate_is_refused(nvram: Path, sample_b: Config) -> None:
    shutil.copy(nvram / "cucm" / "pub" / "key.pem", nvram / "CUBE_SS" / "key.pem")
    with pytest.raises(TrustError, match="does not belong"):
        Store(nvram, sample_b.trustpoints).own("CUBE_SS")


def test_an_unknown_trustpoint_is_refused_with_the_command(lab: Lab, sample_b: Config) -> None:
    with pytest.raises(TrustError, match="there is no trustpoint OTHER") as refused:
        Store(lab.nvram, sample_b.trustpoints).own("OTHER")
    assert refused.value.fix == "configure `crypto pki trustpoint OTHER`"


def test_a_key_that_others_may_read_is_an_event(nvram: Path, sample_b: Config) -> None:
    path = nvram / "CUBE_SS" / "key.pem"
    path.chmod(0o640)
    (event,) = Store(nvram, sample_b.trustpoints).events
    assert (event.name, event.severity) == ("pki.key-permissions", Severity.WARNING)
    assert event.fix == f"chmod 600 {path}"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("CAPF_PUB/ca.pem", b"nonsense", "holds no certificate in PEM"),
        ("CAPF_PUB/ca.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate"),
        ("CAPF_PUB/ca.pem", b" " * (LARGEST + 1), "is larger than"),
        ("CAPF_PUB/crl.pem", b"nonsense", "holds no revocation list"),
        ("CUBE_SS/key.pem", b"nonsense", "holds no key in PEM without a passphrase"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_event_and_spoils_nothing_else(
    nvram: Path, sample_b: Config, name: str, content: bytes, says: str
) -> None:
    (nvram / name).write_bytes(content)
    store = Store(nvram, sample_b.trustpoints)
    (event,) = store.events
    assert event.name == "pki.unreadable"
    assert says in event.text
    assert len(store.anchors().certificates) == 7


def test_reloading_reads_what_has_changed(nvram: Path, sample_b: Config) -> None:
    store = Store(nvram, sample_b.trustpoints)
    before = store.anchors()
    (old,) = before.certificates["CAPF_SUB"]
    shutil.copy(nvram / "cucm" / "pub" / "capf-cert.pem", nvram / "CAPF_SUB" / "ca.pem")
    assert store.reload() == []
    (new,) = store.anchors().certificates["CAPF_SUB"]
    assert new != old
    assert before.certificates["CAPF_SUB"] == [old]


def test_a_key_never_shows(lab: Lab, sample_b: Config) -> None:
    store = Store(lab.nvram, sample_b.trustpoints)
    shown = repr(store.own("CUBE_SS")) + repr(store.material["CUBE_SS"])
    assert "key" not in shown.lower()
    assert "PRIVATE" not in shown


def test_what_a_ctl_record_is_made_from(lab: Lab, sample_b: Config) -> None:
    store = Store(lab.nvram, sample_b.trustpoints)
    assert store.certificates("CUBE_SS")[0] == store.own("CUBE_SS").chain[0]
    assert "CAPF-4e5f6071" in store.certificates("CAPF_SUB")[0].subject.rfc4514_string()
