"""Filling a trustpoint's folder: `crypto pki authenticate` and `crypto pki enroll` of a self-signed one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cubeproxy.pki.names import shown
from cubeproxy.protocols.errors import TrustError

SELF_SIGNED_DAYS = 3650
RSA_BITS = 2048


def authenticate(folder: Path, trustpoint: str, pem: bytes) -> list[x509.Certificate]:
    """Take the authorities in `pem` for `trustpoint`; they stand in the place of those before. TrustError."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise TrustError(
            f"this is no certificate in PEM: {error}", trustpoint=trustpoint, fix="download it from CUCM as .pem"
        ) from None
    text = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
    write_file(folder / trustpoint / "ca.pem", text)
    return certificates


def enrol_selfsigned(
    folder: Path, trustpoint: str, common_name: str, now: datetime, names: Sequence[x509.GeneralName] = ()
) -> x509.Certificate:
    """Make a key and a self-signed certificate for `trustpoint`, as the router does. TrustError if there is a key."""
    target = folder / trustpoint
    if (target / "key.pem").exists():
        raise TrustError(
            f"trustpoint {trustpoint} has a key already, and phones may know it",
            trustpoint=trustpoint,
            fix=f"remove {target / 'key.pem'} and cert.pem if that is meant",
        )
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_file(target / "key.pem", pem, secret=True)
    write_file(target / "cert.pem", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def describe(certificate: x509.Certificate) -> str:
    """One line for the operator: who, by whom, until when."""
    until = certificate.not_valid_after_utc
    return f"{shown(certificate.subject)} issued by {shown(certificate.issuer)}, valid until {until:%Y-%m-%d}"


def write_file(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Write beside and rename: a reader sees the old file or the new one. A key is its owner's from the start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)
