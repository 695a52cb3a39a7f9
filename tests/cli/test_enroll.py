"""`cubeproxy pki enroll` and `request` against the lab's authority over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from cubelab.pki.authority import make_authority
from cubelab.pki.scep_server import ScepServer
from cubeproxy.cli.main import app
from cubeproxy.pki.names import fingerprint
from cubeproxy.pki.store import Store

RUN = CliRunner()


class Running:
    """The authority in a thread of its own, since the command line blocks."""

    def __init__(self) -> None:
        self.server = ScepServer(make_authority(datetime.now(UTC)))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self.server.start("127.0.20.30"), self.loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def password(self) -> str:
        return self.server.authority.new_password(datetime.now(UTC))

    @property
    def ca(self) -> x509.Certificate:
        return self.server.authority.ca.certificate


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    authority = Running()
    yield authority
    authority.stop()


def pki(nvram: Path, command: str, *words: str, password: str = "") -> Result:
    return RUN.invoke(app, ["pki", command, *words, "--nvram", str(nvram)], env={"CUBEPROXY_CHALLENGE": password})


def authenticated(running: Running, nvram: Path) -> None:
    words = ("CUBE", "--url", running.url, "--fingerprint", fingerprint(running.ca))
    done = pki(nvram, "authenticate", *words)
    assert done.exit_code == 0, done.output


def test_authenticate_enroll_renew(running: Running, tmp_path: Path) -> None:
    authenticated(running, tmp_path)
    assert Store(tmp_path).material["CUBE"].ca == [running.ca]
    words = (
        "CUBE",
        "--url",
        running.url,
        "--subject",
        "cn=cube.lab.example",
        "--san",
        "cube.lab.example",
        "--san",
        "192.0.2.1",
    )
    done = pki(tmp_path, "enroll", *words, password=running.password())
    assert done.exit_code == 0, done.output
    assert "% Certificate successfully received from Certificate Authority" in done.output
    own = Store(tmp_path).own("CUBE")
    own.chain[0].verify_directly_issued_by(running.ca)
    assert not (tmp_path / "CUBE" / "new-key.pem").exists()
    renewed = pki(tmp_path, "enroll", "CUBE", "--url", running.url, "--renew")
    assert renewed.exit_code == 0, renewed.output
    after = Store(tmp_path).own("CUBE")
    assert after.chain[0] != own.chain[0]
    assert after.chain[0].subject == own.chain[0].subject
    assert after.key.public_key() != own.key.public_key()
    names = [one.chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName) for one in (own, after)]
    assert names[0].value == names[1].value


def test_the_configurations_trustpoint_says_where_and_as_whom(running: Running, tmp_path: Path) -> None:
    config = tmp_path / "cube.ios"
    config.write_text(
        f"crypto pki trustpoint CUBE\n enrollment url {running.url}\n subject-name cn=cube, o=lab\n fqdn cube.x\n"
    )
    authenticated(running, tmp_path)
    done = pki(tmp_path, "enroll", "CUBE", "--config", str(config), password=running.password())
    assert done.exit_code == 0, done.output
    leaf = Store(tmp_path).own("CUBE").chain[0]
    assert leaf.subject.rfc4514_string() == "O=lab,CN=cube"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cube.x"]


def test_nobody_is_asked_before_the_authority_is_known(running: Running, tmp_path: Path) -> None:
    before = len(running.server.requests)
    refused = pki(tmp_path, "enroll", "CUBE", "--url", running.url, password=running.password())
    assert refused.exit_code == 1
    assert "is not authenticated" in refused.output
    assert "cubeproxy pki authenticate CUBE --url" in refused.output
    assert len(running.server.requests) == before


def test_a_wrong_password_keeps_what_was_there(running: Running, tmp_path: Path) -> None:
    authenticated(running, tmp_path)
    pki(tmp_path, "enroll", "CUBE", "--url", running.url, password=running.password())
    before = Store(tmp_path).own("CUBE").chain
    refused = pki(tmp_path, "enroll", "CUBE", "--url", running.url, password="wrong")
    assert refused.exit_code == 1
    assert "badRequest" in refused.output
    assert "challenge password" in refused.output
    assert Store(tmp_path).own("CUBE").chain == before


def test_nobody_answers(tmp_path: Path) -> None:
    refused = pki(tmp_path, "authenticate", "CUBE", "--url", "http://127.0.20.31:9/certsrv/mscep/mscep.dll", "--yes")
    assert refused.exit_code == 1
    assert "cannot be reached" in refused.output
    assert "fix:" in refused.output


def test_a_request_on_paper_and_its_certificate(running: Running, tmp_path: Path) -> None:
    made = pki(
        tmp_path, "request", "CUBE", "--san", "a.example", "--san", "b.example", "--out", str(tmp_path / "r.pem")
    )
    assert made.exit_code == 0, made.output
    request = x509.load_pem_x509_csr((tmp_path / "r.pem").read_bytes())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]
    certificate = running.server.authority._certify(request, datetime.now(UTC))
    (tmp_path / "c.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.pem").write_bytes(running.ca.public_bytes(Encoding.PEM))
    done = pki(tmp_path, "import", "CUBE", "--pem", str(tmp_path / "c.pem"), "--ca", str(tmp_path / "ca.pem"), "--yes")
    assert done.exit_code == 0, done.output
    assert Store(tmp_path).own("CUBE").chain[0] == certificate
