"""strongSwan's `pki --scep` enrols with the lab's authority: its messages are not ours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cubelab.pki.authority import Authority, make_authority
from cubelab.pki.scep_server import ScepServer
from tests.interop.programs.process import require

# strongSwan 5.9.8 takes the numbers of its list of capabilities for masks: it believes in AES when it hears of SHA-384.
MISREAD = ("SHA-384",)


def pki() -> str:
    return require("pki")


async def run(folder: Path, *words: str) -> tuple[int, bytes, str]:
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    return process.returncode or 0, out, error.decode("utf-8", "replace")


def prepared(folder: Path, authority: Authority) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    for name, issued in (("ca", authority.ca), ("enc", authority.encryption), ("sig", authority.signing)):
        (folder / f"{name}.pem").write_bytes(issued.certificate_pem)


@pytest.mark.parametrize("cipher", ["aes", "des3"])
def test_it_gets_a_certificate(tmp_path: Path, cipher: str) -> None:
    async def scene() -> None:
        authority = make_authority(datetime.now(UTC))
        authority.capabilities += MISREAD
        server = ScepServer(authority)
        url = await server.start("127.0.20.30")
        prepared(tmp_path, authority)
        words = [
            "--scep", "--url", f"{url}/pkiclient.exe", "--in", "key.pem", "--dn", "O=lab, CN=cube.lab.example",
            "--san", "cube.lab.example", "--san", "sip.lab.example", "--cacert-enc", "enc.pem",
            "--cacert-sig", "sig.pem", "--cacert", "ca.pem", "--cipher", cipher, "--outform", "pem",
        ]  # fmt: skip
        code, out, error = await run(tmp_path, pki(), *words, "--password", authority.new_password(datetime.now(UTC)))
        assert code == 0, error
        leaf = x509.load_pem_x509_certificate(out)
        leaf.verify_directly_issued_by(authority.ca.certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["cube.lab.example", "sip.lab.example"]
        code, _, error = await run(tmp_path, pki(), *words, "--password", "wrong")
        assert code != 0
        assert "badRequest" in error or "failed" in error
        await server.close()

    asyncio.run(scene())


def test_it_reads_the_authorities(tmp_path: Path) -> None:
    wanted: set[x509.Certificate] = set()

    async def scene() -> None:
        authority = make_authority(datetime.now(UTC))
        server = ScepServer(authority)
        url = await server.start("127.0.20.30")
        code, out, error = await run(
            tmp_path,
            pki(),
            "--scepca",
            "--url",
            f"{url}/pkiclient.exe",
            "--caout",
            "ca",
            "--raout",
            "ra",
            "--outform",
            "pem",
        )
        assert code == 0, error + out.decode()
        wanted.update(one.certificate for one in (authority.ca, authority.encryption, authority.signing))
        await server.close()

    asyncio.run(scene())
    assert {x509.load_pem_x509_certificate(path.read_bytes()) for path in tmp_path.iterdir()} == wanted
