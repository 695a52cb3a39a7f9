"""The files of a trustpoint's folder: how they are written, and how a spoilt one is found.

A certificate is written with the SHA-256 over its DER in a line before it. PEM readers pass such lines over; ours
compares: a file in which anything was changed is refused, and never taken for another authority.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cubeproxy.pki.names import fingerprint
from cubeproxy.protocols.errors import TrustError

CA, CERTIFICATE, KEY, CRL = "ca.pem", "cert.pem", "key.pem", "crl.pem"
REQUEST_KEY = "new-key.pem"  # of a request that waits for its certificate

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", re.ASCII)
_RECORDED = re.compile(rb"^# SHA-256 ([0-9a-f]{64})$", re.MULTILINE)


def trustpoint_folder(nvram: Path, trustpoint: str) -> Path:
    """The folder of a trustpoint. TrustError for a name that is none: it becomes part of a path."""
    if not _NAME.fullmatch(trustpoint):
        raise TrustError(
            f"{trustpoint[:64]!r} is no name of a trustpoint",
            fix="use letters, digits, points, hyphens and underscores, 64 at most",
        )
    return nvram / trustpoint


def certificates_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """PEM, each certificate with its fingerprint before it."""
    return b"".join(
        b"# SHA-256 %s\n%s" % (fingerprint(certificate).encode(), certificate.public_bytes(serialization.Encoding.PEM))
        for certificate in certificates
    )


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """Certificates in PEM. ValueError when they cannot be read or are not those whose fingerprints stand there."""
    certificates = x509.load_pem_x509_certificates(data)
    recorded = [found.decode() for found in _RECORDED.findall(data)]
    if recorded and recorded != [fingerprint(certificate) for certificate in certificates]:
        raise ValueError("a certificate is not the one whose fingerprint stands before it")
    return certificates


def key_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_own(
    folder: Path, chain: Sequence[x509.Certificate], key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    """Our certificate and what leads to its root, and its key; the key first, so that a certificate always has one."""
    write_file(folder / KEY, key_pem(key), secret=True)
    write_file(folder / CERTIFICATE, certificates_pem(chain))


def write_file(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Write beside and rename: a reader sees the old file or the new one. A key is its owner's from the start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)
