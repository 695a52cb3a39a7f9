"""Signatures of these files: RSA PKCS#1 v1.5 over everything but element 12.

The three octets of tag and length of element 12 are left out as well, while the header length already counts them.
SHA-1 is what every phone reads, SHA-512 what newer ones do. Keys of 1024, 2048 and 4096 bits can be named.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.trustlist.header import MODULI, header_parts
from cubeproxy.protocols.trustlist.model import Digest, Encryption, Envelope, Header
from cubeproxy.protocols.trustlist.names import name_text, serial_octets
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.tlv import tlv

ALGORITHMS = {Digest.SHA1: hashes.SHA1(), Digest.SHA256: hashes.SHA256(), Digest.SHA512: hashes.SHA512()}  # noqa: S303


@dataclass(frozen=True)
class Signer:
    """A certificate and its RSA key. TrustError when the key cannot sign such files. The key never shows."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        subject = self.certificate.subject.rfc4514_string()
        if not isinstance(self.key, rsa.RSAPrivateKey) or self.size not in MODULI:
            raise TrustError(
                "trust lists and configurations are signed with RSA keys of 1024, 2048 or 4096 bits only",
                subject=subject,
                fix="sign with an RSA trustpoint, 2048 bits for all phones",
            )
        if self.key.public_key() != self.certificate.public_key():
            raise TrustError("the key does not belong to the certificate that is to sign", subject=subject)

    @property
    def size(self) -> int:
        """Octets of a signature."""
        return self.key.key_size // 8


def sign(
    signer: Signer,
    payload: bytes,
    *,
    version: tuple[int, int],
    file_name: str,
    timestamp: int,
    digest: Digest = Digest.SHA1,
    signer_version: tuple[int, int] | None = None,
    encryption: Encryption | None = None,
) -> bytes:
    """A whole file: header, signature and payload. `timestamp` is in seconds since 1970."""
    header = Header(
        version=version,
        signer=name_text(signer.certificate.subject),
        serial=serial_octets(signer.certificate),
        issuer=name_text(signer.certificate.issuer),
        digest=digest,
        signature=b"",
        file_name=file_name,
        timestamp=timestamp,
        signer_version=signer_version,
        encryption=encryption,
    )
    before, after = header_parts(header, signer.size)
    prehashed = hashlib.new(digest.hash_name, before + after, usedforsecurity=False)
    prehashed.update(payload)
    signature = signer.key.sign(prehashed.digest(), padding.PKCS1v15(), Prehashed(ALGORITHMS[digest]))
    return b"".join((before, tlv(12, signature), after, payload))


def check_signature(envelope: Envelope, certificate: x509.Certificate) -> None:
    """TrustListError (digest) unless this certificate's key made the signature."""
    header = envelope.header
    key = public_key(certificate)
    if not isinstance(key, rsa.RSAPublicKey):
        raise TrustListError(Rule.DIGEST, "the signer's key is not RSA", signer=header.signer)
    prehashed = hashlib.new(header.digest.hash_name, usedforsecurity=False)
    for part in envelope.signed:
        prehashed.update(part)
    try:
        key.verify(header.signature, prehashed.digest(), padding.PKCS1v15(), Prehashed(ALGORITHMS[header.digest]))
    except InvalidSignature:
        text = f"the signature does not fit the bytes of {header.file_name}"
        raise TrustListError(Rule.DIGEST, text, signer=header.signer) from None


def load_certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise TrustListError(Rule.RECORD, f"a certificate cannot be read: {error}") from None


def public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustListError(Rule.RECORD, f"the key of a certificate cannot be read: {error}") from None


def public_key_octets(certificate: x509.Certificate) -> bytes:
    """As records have it: RSAPublicKey (PKCS#1) or the uncompressed point (X9.62)."""
    key = public_key(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    raise TrustListError(Rule.RECORD, "a record's key is neither RSA nor elliptic curve")
