"""Small certificates for the tests, and a judge with a short memory."""

from __future__ import annotations

import datetime
import functools
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import DeviceIdentity

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@functools.cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Keys are slow to make, so that tests share them by number."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass
class Pair:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    issuers: list[x509.Certificate] = field(default_factory=list)

    @property
    def chain(self) -> list[x509.Certificate]:
        return [self.certificate, *self.issuers]

    def files(self, folder: Path, name: str) -> tuple[Path, Path]:
        """PEM files: chain and key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.chain))
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, key


def issue(
    cn: str,
    ca: Pair | None = None,
    *,
    key: rsa.RSAPrivateKey | None = None,
    usage: tuple[x509.ObjectIdentifier, ...] = (),
    ends: datetime.datetime = NOW + DAY,
    is_ca: bool = False,
    padding: int = 0,
) -> Pair:
    """Self-signed without `ca`. `padding` octets make it fat."""
    key = key or rsa_key(1 if ca else 0)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 30 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    if padding:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x04" * padding), critical=False)
    certificate = builder.sign(ca.key if ca else key, hashes.SHA256())
    return Pair(certificate, key)


CA = issue("CAPF-4e5f6071", is_ca=True, key=rsa_key(2))
OTHER_CA = issue("CAPF-00000000", is_ca=True, key=rsa_key(3))
PHONE = issue("SEP001122334455", CA)
CUBE = issue("cube.example.com", CA, key=rsa_key(4))


class Judge:
    """Trusts what `CA` (or a CA in the chain that it signed) issued, unless revoked or expired."""

    def __init__(self, *trusted: Pair) -> None:
        self.trusted = [pair.certificate for pair in trusted or (CA,)]
        self.revoked: set[str] = set()
        self.calls: list[list[str]] = []

    def __call__(self, chain: list[x509.Certificate]) -> DeviceIdentity:
        leaf = chain[0]
        cn = leaf.subject.rfc4514_string()
        self.calls.append([each.subject.rfc4514_string() for each in chain])
        if not self._reaches_trust(chain):
            raise TrustError("no trustpoint vouches for that issuer", trustpoint="CAPF", fix="authenticate CAPF")
        if leaf.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
            raise TrustError("the certificate has expired", trustpoint="CAPF", fix="issue a new LSC")
        if cn in self.revoked:
            raise TrustError("the certificate is revoked", trustpoint="CAPF", fix="issue a new LSC")
        fingerprint = leaf.fingerprint(hashes.SHA256()).hex()
        return DeviceIdentity(cn.removeprefix("CN="), cn, leaf.issuer.rfc4514_string(), "LSC", "CAPF", fingerprint)

    def _reaches_trust(self, chain: list[x509.Certificate]) -> bool:
        return any(_issued(each, ca) for each in chain for ca in self.trusted)


def _issued(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
