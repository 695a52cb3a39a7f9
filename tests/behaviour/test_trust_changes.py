"""Trust that changes while phones are registered: who loses it is closed, nobody else notices."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from cubelab import data
from cubelab.phone.phone import RegistrationFailed
from cubelab.pki.lab import Identity, lab_at
from cubeproxy.pki.enrol import authenticate, enrol_selfsigned, import_own, install_crl, read_key, read_pem
from tests.behaviour.stage import Stage
from tests.waiting import until

FIRST, SECOND = "1001", "1002"  # LSCs of CAPF_PUB and of CAPF_SUB


@pytest.fixture
def checked(tmp_path: Path) -> str:
    """The sample, with `revocation-check crl none` for the CAPF of the publisher."""
    text = data.config("sample-a-xe.ios").read_text()
    changed = re.sub(r"(trustpoint CAPF_PUB\n(?: .*\n)*? revocation-check )none", r"\1crl none", text)
    assert changed != text
    (tmp_path / "checked.ios").write_text(changed)
    return str(tmp_path / "checked.ios")


def revoke(authority: Identity, certificate: Path) -> bytes:
    """A revocation list with this one certificate."""
    key = read_key(authority.key.read_bytes(), None, "")
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    now = datetime.now(UTC)
    revoked = x509.RevokedCertificateBuilder(leaf.serial_number, now - timedelta(hours=1)).build()
    builder = x509.CertificateRevocationListBuilder(issuer.subject, now - timedelta(hours=1), now + timedelta(days=7))
    return builder.add_revoked_certificate(revoked).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def watch(stage: Stage, number: str) -> list[str]:
    """The causes of connections that this phone loses from now on."""
    causes: list[str] = []
    agent = stage.phones[number].agent
    told: Callable[..., None] = agent.closed
    agent.closed = lambda flow, cause: (causes.append(cause), told(flow, cause))  # type: ignore[assignment, func-returns-value]
    return causes


async def swept(stage: Stage) -> str:
    """SIGHUP, and the log when the sweep has ended."""
    before = stage.log.read_text().count("trust.swept")
    stage.signal(signal.SIGHUP)
    await until(lambda: stage.log.read_text().count("trust.swept") > before)
    return stage.log.read_text()


def test_a_revoked_phone_is_closed_and_stays_out(tmp_path: Path, checked: str) -> None:
    """Its TLS session would be resumed, and OpenSSL then looks at no certificate: the proxy does."""

    async def scene() -> None:
        async with Stage(tmp_path, config=checked) as stage:
            lab = lab_at(tmp_path / "nvram")
            lost, other = watch(stage, FIRST), watch(stage, SECOND)
            install_crl(lab.nvram, "CAPF_PUB", revoke(lab.capf["pub"], lab.phones["SEP001122334455"].certificate))
            log = await swept(stage)
            assert "trust.changed: trustpoint CAPF_PUB: the revocation list is new" in log
            assert "CP-8841-SEP001122334455" in log
            assert "revoked" in log
            await until(lambda: len(lost) >= 1)
            with pytest.raises(RegistrationFailed):
                await stage.phones[FIRST].register()
            await stage.phones[SECOND].register()
            assert other == []

    asyncio.run(scene())


def test_phones_of_an_authority_that_is_removed_are_closed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            lab = lab_at(tmp_path / "nvram")
            lost, other = watch(stage, SECOND), watch(stage, FIRST)
            # the configuration's own chain stands behind the folder: another authority takes its place
            authenticate(lab.nvram, "CAPF_SUB", lab.capf["pub"].certificate.read_bytes())
            log = await swept(stage)
            assert "trustpoint CAPF_SUB: the authority was replaced" in log
            await until(lambda: len(lost) >= 1)
            await stage.phones[FIRST].register()
            assert other == []

    asyncio.run(scene())


def test_our_own_renewed_certificate_closes_nothing(tmp_path: Path) -> None:
    """New handshakes present it; a pair that does not fit together changes nothing."""

    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            nvram = tmp_path / "nvram"
            lost = [watch(stage, number) for number in (FIRST, SECOND)]
            before = await presented(stage)
            fresh = tmp_path / "fresh"
            made = enrol_selfsigned(fresh, "CUBE_SS", "cube.lab.example", datetime.now(UTC))
            shutil.copy(fresh / "CUBE_SS" / "cert.pem", nvram / "CUBE_SS" / "cert.pem")
            log = await swept(stage)
            assert "tls.not-renewed" in log
            assert "does not belong" in log
            assert await presented(stage) == before
            key = read_key((fresh / "CUBE_SS" / "key.pem").read_bytes(), None, "")
            import_own(nvram, "CUBE_SS", read_pem((fresh / "CUBE_SS" / "cert.pem").read_bytes(), key, ""))
            await swept(stage)
            assert await presented(stage) == made.public_bytes(serialization.Encoding.DER)
            for number in (FIRST, SECOND):
                await stage.phones[number].register()
            assert lost == [[], []]

    asyncio.run(scene())


def test_half_a_copy_is_no_change_of_trust(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            path = tmp_path / "nvram" / "CAPF_PUB" / "ca.pem"
            lost = watch(stage, FIRST)
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            log = await swept(stage)
            assert "pki.unreadable" in log
            path.write_bytes(whole)
            log = await swept(stage)
            assert log.count("pki.unreadable") == 1
            await stage.phones[FIRST].register()
            assert lost == []

    asyncio.run(scene())


async def presented(stage: Stage) -> bytes:
    """The certificate that the access side shows, in DER."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"{stage.network.access}:5061", "-showcerts", "-tls1_2",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    text, _ = await process.communicate()
    return x509.load_pem_x509_certificate(text[text.index(b"-----BEGIN") :]).public_bytes(serialization.Encoding.DER)
