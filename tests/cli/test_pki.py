"""`cubeproxy pki`: the router's words, and nothing taken that was not confirmed."""

from __future__ import annotations

import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner, Result

from cubelab.pki.lab import Lab, init_lab
from cubeproxy.cli.main import app
from cubeproxy.pki.names import fingerprint
from cubeproxy.pki.store import Store

RUN = CliRunner()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("lab"))


def pki(nvram: Path, command: str, *words: str, **how: object) -> Result:
    return RUN.invoke(app, ["pki", command, *words, "--nvram", str(nvram)], **how)  # type: ignore[arg-type]


def authority(lab: Lab) -> x509.Certificate:
    return x509.load_pem_x509_certificate(lab.capf["pub"].certificate.read_bytes())


def test_a_self_signed_certificate_is_made_once_and_its_key_is_the_owners(tmp_path: Path) -> None:
    made = pki(tmp_path, "self-signed", "CUBE_SS", "--cn", "cube.lab.example", "--san", "192.0.2.1", "--san", "cube.x")
    assert made.exit_code == 0
    assert "Router Self Signed Certificate successfully created" in made.output
    certificate = Store(tmp_path).own("CUBE_SS").chain[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cube.x"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    assert stat.S_IMODE((tmp_path / "CUBE_SS" / "key.pem").stat().st_mode) == 0o600
    again = pki(tmp_path, "self-signed", "CUBE_SS")
    assert again.exit_code == 1
    assert "has a key already" in again.output
    assert Store(tmp_path).own("CUBE_SS").chain[0] == certificate


def test_an_authority_is_taken_after_a_yes_alone(lab: Lab, tmp_path: Path) -> None:
    words = ("CAPF_PUB", "--ca", str(lab.capf["pub"].certificate))
    refused = pki(tmp_path, "authenticate", *words, input="no\n")
    assert refused.exit_code == 1
    assert "Do you accept this certificate? [yes/no]" in refused.output
    assert not (tmp_path / "CAPF_PUB").exists()
    taken = pki(tmp_path, "authenticate", *words, input="yes\n")
    assert taken.exit_code == 0
    assert "Trustpoint CA certificate accepted." in taken.output
    assert Store(tmp_path).material["CAPF_PUB"].ca == [authority(lab)]


def test_the_question_shows_the_fingerprints_that_openssl_shows(lab: Lab, tmp_path: Path) -> None:
    path = lab.capf["pub"].certificate
    shown = pki(tmp_path, "authenticate", "CAPF_PUB", "--ca", str(path), "--yes").output.replace(" ", "")
    for digest in ("md5", "sha1", "sha256"):
        said = subprocess.run(
            ["openssl", "x509", "-in", str(path), "-noout", "-fingerprint", f"-{digest}"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        assert said.partition("=")[2].replace(":", "") in shown


def test_a_fingerprint_in_place_of_the_question(lab: Lab, tmp_path: Path) -> None:
    words = ("CAPF_PUB", "--ca", str(lab.capf["pub"].certificate), "--fingerprint")
    other = pki(tmp_path, "authenticate", *words, "00" * 32)
    assert other.exit_code == 1
    assert "Fingerprint mismatch" in other.output
    assert not (tmp_path / "CAPF_PUB").exists()
    spelt = ":".join(f"{octet:02X}" for octet in authority(lab).fingerprint(hashes.SHA256()))
    assert pki(tmp_path, "authenticate", *words, spelt).exit_code == 0


def test_what_is_kept_is_the_sha256_over_the_der(lab: Lab, tmp_path: Path) -> None:
    pki(tmp_path, "authenticate", "CAPF_PUB", "--ca", str(lab.capf["pub"].certificate), "--yes")
    assert f"# SHA-256 {fingerprint(authority(lab))}" in (tmp_path / "CAPF_PUB" / "ca.pem").read_text()


def test_pkcs12_out_and_in_again(lab: Lab, tmp_path: Path) -> None:
    secret = {"CUBEPROXY_PASSPHRASE": "correct horse"}
    file = tmp_path / "cube.p12"
    out = pki(lab.nvram, "export", "CUBE_SS", "--pkcs12", str(file), env=secret)
    assert out.exit_code == 0, out.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    wrong = pki(tmp_path / "n", "import", "CUBE_SS", "--pkcs12", str(file), env={"CUBEPROXY_PASSPHRASE": "wrong"})
    assert wrong.exit_code == 1
    assert not (tmp_path / "n").exists()
    assert pki(tmp_path / "n", "import", "CUBE_SS", "--pkcs12", str(file), env=secret).exit_code == 0
    assert Store(tmp_path / "n").own("CUBE_SS").chain == Store(lab.nvram).own("CUBE_SS").chain


def test_a_key_does_not_leave_without_a_passphrase(lab: Lab, tmp_path: Path) -> None:
    refused = pki(lab.nvram, "export", "CUBE_SS", "--pkcs12", str(tmp_path / "x.p12"), env={"CUBEPROXY_PASSPHRASE": ""})
    assert refused.exit_code == 2
    assert not (tmp_path / "x.p12").exists()


def test_export_prints_certificates_and_never_a_key(lab: Lab) -> None:
    printed = pki(lab.nvram, "export", "CUBE_SS").output
    assert "% General Purpose Certificate:" in printed
    assert "PRIVATE" not in printed
    begin = printed.index("-----BEGIN")
    found = x509.load_pem_x509_certificate(printed[begin:].encode())
    assert found == Store(lab.nvram).own("CUBE_SS").chain[0]


def test_a_certificate_that_does_not_belong_to_the_key_is_refused(lab: Lab, tmp_path: Path) -> None:
    pair = lab.phones["SEP001122334455"]
    other = lab.cucm["pub"]
    refused = pki(tmp_path, "import", "X", "--pem", str(other.certificate), "--key", str(pair.key))
    assert refused.exit_code == 1
    assert "belongs to the key" in refused.output
    assert not (tmp_path / "X").exists()


def test_another_key_is_put_in_place_after_a_yes_alone(lab: Lab, tmp_path: Path) -> None:
    pki(tmp_path, "self-signed", "CUBE_SS")
    before = Store(tmp_path).own("CUBE_SS").chain
    pair = lab.cucm["pub"]
    words = ("CUBE_SS", "--pem", str(pair.certificate), "--key", str(pair.key))
    assert pki(tmp_path, "import", *words, input="no\n").exit_code == 1
    assert Store(tmp_path).own("CUBE_SS").chain == before
    assert pki(tmp_path, "import", *words, input="yes\n").exit_code == 0
    assert Store(tmp_path).own("CUBE_SS").chain != before


def test_list_shows_expiry_and_fails_when_something_is_expired(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for name, days in (("FRESH", 400), ("SOON", 10), ("OVER", -1)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "ca.pem").write_bytes(made_until(now + timedelta(days=days)))
    listed = pki(tmp_path, "list", "--json")
    assert listed.exit_code == 1
    states = {
        (row := json.loads(line))["trustpoint"]: (row["state"], row["days"])
        for line in listed.output.split("\n")
        if line
    }
    assert states["FRESH"] == ("valid", 399)
    assert states["SOON"] == ("expiring", 9)
    assert states["OVER"][0] == "expired"
    table = pki(tmp_path, "list").output
    assert "expiring" in table
    assert pki(tmp_path, "delete", "OVER", "--yes").exit_code == 0
    assert pki(tmp_path, "list").exit_code == 0


def made_until(end: datetime) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, end - timedelta(days=900), end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_delete_asks_in_the_words_of_the_router(lab: Lab, tmp_path: Path) -> None:
    pki(tmp_path, "authenticate", "CAPF_PUB", "--ca", str(lab.capf["pub"].certificate), "--yes")
    kept = pki(tmp_path, "delete", "CAPF_PUB", input="no\n")
    assert kept.exit_code == 1
    assert "% Removing an enrolled trustpoint will destroy all certificates" in kept.output
    assert (tmp_path / "CAPF_PUB" / "ca.pem").exists()
    assert pki(tmp_path, "delete", "CAPF_PUB", input="yes\n").exit_code == 0
    assert not (tmp_path / "CAPF_PUB").exists()


@pytest.mark.parametrize("name", ["..", "../other", "a/b", ".hidden", "", "x" * 65, "a\nb"])
def test_a_name_is_never_a_path(lab: Lab, tmp_path: Path, name: str) -> None:
    nvram = tmp_path / "nvram"
    nvram.mkdir()
    (tmp_path / "other").mkdir()
    for command in (
        ("delete", "--yes"),
        ("authenticate", "--yes", "--ca", str(lab.capf["pub"].certificate)),
        ("self-signed",),
    ):
        assert pki(nvram, command[0], name, *command[1:]).exit_code != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nvram", "other"]
    assert list(nvram.iterdir()) == []


def test_a_folder_that_is_no_trustpoint_is_not_removed(lab: Lab) -> None:
    refused = pki(lab.nvram, "delete", "phones", "--yes")
    assert refused.exit_code == 1
    assert lab.phones["SEP001122334455"].key.exists()
