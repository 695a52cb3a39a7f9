"""The lab's certificates: complete, private, and each with the shape that its profile gives."""

from __future__ import annotations

import re
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID
from typer.testing import CliRunner

from cubelab import data
from cubelab.pki.command import app
from cubelab.pki.lab import DEVICES, Identity, Lab, init_lab, lab_at
from cubelab.pki.profiles import load_profiles

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("lab"), now=NOW)


def certificate(identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificate(identity.certificate.read_bytes())


def test_a_lab_is_made_in_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    init_lab(tmp_path)
    assert time.process_time() - start < 3  # CPU seconds: RSA keys are what costs


def test_what_was_made_is_found_again(lab: Lab) -> None:
    assert lab_at(lab.folder) == lab
    assert tuple(lab.phones) == DEVICES
    assert set(lab.mics) == set(DEVICES)
    assert set(lab.cucm) == set(lab.capf) == set(lab.tvs) == {"pub", "sub"}
    assert set(lab.recovery) == {"pub"}


def test_every_identity_has_the_key_of_its_certificate(lab: Lab) -> None:
    for group in (lab.phones, lab.mics, lab.cucm, lab.capf, lab.tvs, lab.recovery, lab.bad):
        for identity in group.values():
            key = load_pem_private_key(identity.key.read_bytes(), None)
            assert key.public_key() == certificate(identity).public_key()


def test_keys_are_for_their_owner_alone(lab: Lab) -> None:
    keys = list(lab.folder.rglob("*key.pem"))
    assert len(keys) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_trustpoints_have_what_each_needs(lab: Lab) -> None:
    files = {path.name: {file.name for file in path.glob("*.pem")} for path in lab.nvram.iterdir()}
    assert files["CUBE_SS"] == {"cert.pem", "key.pem"}
    for name in ("CAPF_PUB", "CAPF_SUB", "CCM_PUB", "CCM_SUB", "Cisco_Manufacturing_CA", "CAP-RTP-001", "CAP-RTP-002"):
        assert files[name] == {"ca.pem"}
    assert {path.name for path in lab.trust.iterdir()} == {
        "CUBE_SS.pem", "CAPF_PUB.pem", "CAPF_SUB.pem", "Cisco_Manufacturing_CA.pem", "CAP-RTP-001.pem",
        "CAP-RTP-002.pem",
    }  # fmt: skip


def test_trustpoints_are_those_of_the_samples(lab: Lab) -> None:
    text = "".join(data.config(f"sample-{name}.ios").read_text() for name in ("a", "b", "a-xe"))
    named = set(re.findall(r"^crypto pki trustpoint (\S+)", text, re.MULTILINE))
    assert {path.name for path in lab.nvram.iterdir() if any(path.glob("*.pem"))} == named


def test_an_lsc_is_as_capf_makes_it(lab: Lab) -> None:
    lsc = certificate(lab.phones[DEVICES[0]])
    assert "CN=CP-8841-SEP001122334455" in lsc.subject.rfc4514_string()
    assert isinstance(lsc.public_key(), rsa.RSAPublicKey)
    purposes = lsc.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in purposes
    names = lsc.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["SEP001122334455"]


def test_capf_may_issue_and_serve(lab: Lab) -> None:
    """Both demanded since CUCM 14SU2."""
    capf = certificate(lab.capf["pub"])
    constraints = capf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    usage = capf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_cert_sign


def test_the_faults_have_their_faults(lab: Lab) -> None:
    assert certificate(lab.bad["expired-mic"]).not_valid_after_utc < NOW
    assert certificate(lab.bad["not-yet-valid"]).not_valid_before_utc > NOW
    assert certificate(lab.bad["sha1"]).signature_algorithm_oid == SignatureAlgorithmOID.RSA_WITH_SHA1
    weak = certificate(lab.bad["weak-key"]).public_key()
    assert isinstance(weak, rsa.RSAPublicKey)
    assert weak.key_size == 1024
    capf = x509.load_pem_x509_certificate((lab.nvram / "CAPF_PUB" / "ca.pem").read_bytes())
    assert certificate(lab.bad["forged-issuer"]).issuer == capf.subject
    with pytest.raises(InvalidSignature):
        certificate(lab.bad["forged-issuer"]).verify_directly_issued_by(capf)


def test_every_profile_says_what_it_is_for() -> None:
    profiles = load_profiles()
    assert {"mic-root", "manufacturing-ca", "capf", "callmanager", "cube", "lsc", "mic", "web-server"} <= set(profiles)
    assert [name for name, profile in profiles.items() if not profile.about] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[a]\nlike = "b"', "like b, which does not exist"),
        ('[a]\nissuer = "b"', "issued by b, which does not exist"),
        ("[a]\ncolour = 3", "colour"),
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ValueError, match=says) as refused:
        load_profiles(tmp_path)
    assert "profile a" in str(refused.value)


def test_no_key_is_in_the_repository(root: Path) -> None:
    for folder in ("certs", "lab/configs"):
        for path in (root / folder).rglob("*"):
            assert path.suffix in (".toml", ".ios", ".map", ".xml")
            assert "PRIVATE KEY" not in path.read_text()


def test_the_command_makes_a_lab(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path), "--device", "SEP00AABBCCDDEE", "--address", "127.9.9.9"])
    assert result.exit_code == 0, result.output
    assert list(lab_at(tmp_path).phones) == ["SEP00AABBCCDDEE"]
    own = x509.load_pem_x509_certificate(lab_at(tmp_path).cube.read_bytes())
    addresses = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.IPAddress
    )
    assert "127.9.9.9" in map(str, addresses)
