"""Filling a trustpoint's folder, as the router's commands do.

crypto pki authenticate   an authority is taken, after its fingerprint was confirmed
crypto pki enroll         of a self-signed trustpoint: key and certificate are made
crypto pki import         certificate and key made elsewhere, in PEM or PKCS#12
no crypto pki trustpoint  everything of it is removed
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from cubeproxy.pki.files import (
    CA,
    CERTIFICATE,
    CRL,
    KEY,
    REQUEST_KEY,
    certificates_pem,
    key_pem,
    read_certificates,
    trustpoint_folder,
    write_file,
    write_own,
)
from cubeproxy.pki.names import shown
from cubeproxy.protocols.errors import TrustError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

SELF_SIGNED_DAYS = 3650
RSA_BITS = 2048
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True)
class Bundle:
    """Our certificate, its key, and the authorities that came with them. The key never shows."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    others: tuple[x509.Certificate, ...] = ()


def load_authorities(data: bytes, trustpoint: str) -> list[x509.Certificate]:
    """The certificates of a file, PEM or DER. TrustError when there are none, or one that cannot vouch."""
    try:
        certificates = read_certificates(data) if b"-----BEGIN" in data else [x509.load_der_x509_certificate(data)]
    except UNREADABLE as error:
        raise TrustError(
            f"this is no certificate in PEM or DER: {error}",
            trustpoint=trustpoint,
            fix="download it from CUCM as .pem (OS Administration, Security, Certificate Management)",
        ) from None
    return certificates


def authenticate(folder: Path, trustpoint: str, data: bytes) -> list[x509.Certificate]:
    """Take the authorities in `data` for `trustpoint`; they stand in the place of those before. TrustError."""
    certificates = load_authorities(data, trustpoint)
    write_file(trustpoint_folder(folder, trustpoint) / CA, certificates_pem(certificates))
    return certificates


def install_crl(folder: Path, trustpoint: str, data: bytes) -> x509.CertificateRevocationList:
    """Take a revocation list, PEM or DER. TrustError when it is none, or not signed by the trustpoint's authority."""
    target = trustpoint_folder(folder, trustpoint)
    try:
        crl = x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
    except UNREADABLE as error:
        raise TrustError(f"this is no revocation list in PEM or DER: {error}", trustpoint=trustpoint) from None
    if not any(_signed(crl, authority) for authority in _stored(target / CA, trustpoint)):
        raise TrustError(
            f"the list of {shown(crl.issuer)} is not signed by the authority of {trustpoint}",
            trustpoint=trustpoint,
            fix=f"authenticate {trustpoint} first, or give the list of its own authority",
        )
    write_file(target / CRL, crl.public_bytes(serialization.Encoding.PEM))
    return crl


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # other keys: TypeError
    except UNREADABLE:
        return False


def _stored(path: Path, trustpoint: str) -> list[x509.Certificate]:
    try:
        return read_certificates(path.read_bytes())
    except FileNotFoundError:
        return []
    except (*UNREADABLE, OSError) as error:
        raise TrustError(f"{path} cannot be read: {error}", trustpoint=trustpoint, fix=f"replace {path}") from None


def enrol_selfsigned(
    folder: Path, trustpoint: str, common_name: str, now: datetime, names: Sequence[x509.GeneralName] = ()
) -> x509.Certificate:
    """Make a key and a self-signed certificate for `trustpoint`, as the router does. TrustError if there is a key."""
    target = trustpoint_folder(folder, trustpoint)
    refuse_second_key(target, trustpoint)
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError as error:
        raise TrustError(f"a certificate cannot have the CN {common_name[:80]!r}: {error}") from None
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
    write_own(target, [certificate], key)
    return certificate


def refuse_second_key(target: Path, trustpoint: str) -> None:
    """A key that phones may know is not overwritten by the way."""
    if (target / KEY).exists():
        raise TrustError(
            f"trustpoint {trustpoint} has a key already, and phones may know it",
            trustpoint=trustpoint,
            fix=f"remove {target / KEY} and {CERTIFICATE} if that is meant",
        )


def read_pkcs12(data: bytes, passphrase: bytes | None, trustpoint: str) -> Bundle:
    """TrustError when the passphrase is wrong, or certificate or key are missing."""
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, passphrase)
    except UNREADABLE as error:
        raise TrustError(
            f"the PKCS#12 file cannot be opened: {error}", trustpoint=trustpoint, fix="give its passphrase"
        ) from None
    if certificate is None or not isinstance(key, PrivateKey):
        raise TrustError("the PKCS#12 file has no certificate with an RSA or EC key", trustpoint=trustpoint)
    return Bundle(certificate, key, tuple(others))


def read_pem(data: bytes, key: PrivateKey, trustpoint: str) -> Bundle:
    """The certificate that belongs to `key`, among those in `data`. TrustError when none does."""
    certificates = load_authorities(data, trustpoint)
    for certificate in certificates:
        if certificate.public_key() == key.public_key():
            return Bundle(certificate, key, tuple(other for other in certificates if other != certificate))
    raise TrustError(
        f"none of the {len(certificates)} certificates belongs to the key",
        subject=shown(certificates[0].subject),
        trustpoint=trustpoint,
        fix="import the certificate that was issued for this trustpoint's request, or give its key with --key",
    )


def read_key(data: bytes, passphrase: bytes | None, trustpoint: str) -> PrivateKey:
    """TrustError says what is wrong, never what stands there."""
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except UNREADABLE:
        raise TrustError(
            "no private key in PEM could be opened", trustpoint=trustpoint, fix="give the file and its passphrase"
        ) from None
    if not isinstance(key, PrivateKey):
        raise TrustError("the key is neither RSA nor elliptic curve", trustpoint=trustpoint)
    return key


def waiting_key(folder: Path, trustpoint: str) -> PrivateKey:
    """The key of a request that waits for its certificate, else the one in use. TrustError when there is none."""
    target = trustpoint_folder(folder, trustpoint)
    for name in (REQUEST_KEY, KEY):
        if (target / name).exists():
            return read_key((target / name).read_bytes(), None, trustpoint)
    raise TrustError(
        f"trustpoint {trustpoint} has no key",
        trustpoint=trustpoint,
        fix=f"cubeproxy pki request {trustpoint}, or give --key or --pkcs12",
    )


def import_own(folder: Path, trustpoint: str, bundle: Bundle, authorities: Iterable[x509.Certificate] = ()) -> None:
    """Store a certificate with its key; `authorities` become the trustpoint's, as after `authenticate`."""
    target = trustpoint_folder(folder, trustpoint)
    write_own(target, [bundle.certificate, *_path(bundle)], bundle.key)
    (target / REQUEST_KEY).unlink(missing_ok=True)
    chosen = list(authorities)
    if chosen:
        write_file(target / CA, certificates_pem(chosen))


def _path(bundle: Bundle) -> list[x509.Certificate]:
    """The intermediate authorities, in order; a root is not sent."""
    path: list[x509.Certificate] = []
    issuer = bundle.certificate.issuer
    while found := next(
        (one for one in bundle.others if one.subject == issuer != one.issuer and one not in path), None
    ):
        path.append(found)
        issuer = found.issuer
    return path


def export_pkcs12(bundle: Bundle, name: str, passphrase: bytes) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase)
    return pkcs12.serialize_key_and_certificates(
        name.encode(), bundle.key, bundle.certificate, bundle.others or None, encryption
    )


def keep_request_key(folder: Path, trustpoint: str, key: PrivateKey) -> Path:
    """The key of a request, beside the one in use until the certificate is here."""
    path = trustpoint_folder(folder, trustpoint) / REQUEST_KEY
    write_file(path, key_pem(key), secret=True)
    return path


def delete(folder: Path, trustpoint: str) -> list[str]:
    """Remove a trustpoint's folder; the names of the files that were there. TrustError when there is none."""
    target = trustpoint_folder(folder, trustpoint)
    if not target.is_dir() or target.is_symlink():
        raise TrustError(f"there is no trustpoint {trustpoint} in {folder}", trustpoint=trustpoint)
    files = sorted(path.name for path in target.iterdir())
    foreign = [name for name in files if (target / name).is_dir()]
    if foreign:
        raise TrustError(
            f"{target} holds folders ({', '.join(foreign)[:80]}) and is no trustpoint's", trustpoint=trustpoint
        )
    shutil.rmtree(target)
    return files


def describe(certificate: x509.Certificate) -> str:
    """One line for the operator: who, by whom, until when."""
    until = certificate.not_valid_after_utc
    return f"{shown(certificate.subject)} issued by {shown(certificate.issuer)}, valid until {until:%Y-%m-%d}"
