"""Whether a CAPF attempt proves what it says: certificate, name, and a signature that only the phone's key makes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from cubeproxy.protocols.capf import Attempt, CertificateType
from cubeproxy.protocols.capf.authentication import SHA512, rsa_matches

_NAME = re.compile(r"(?:CP-[0-9A-Z]+(?:-[0-9A-Z]+)*-)?(SEP[0-9A-F]{12})", re.ASCII)
_SHA1 = ec.ECDSA(hashes.SHA1())  # noqa: S303 - what phones sign with


def disproof(
    attempt: Attempt, capf: Sequence[x509.Certificate], makers: Sequence[x509.Certificate], now: datetime
) -> str:
    """Why the certificate of an attempt proves nothing; "" when it does. `now` is aware of its zone."""
    try:
        certificate = x509.load_der_x509_certificate(attempt.proof.certificate or b"")
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "its certificate cannot be read"
    is_lsc = attempt.proof.kind is CertificateType.LSC
    if not any(_issued(certificate, one) for one in (capf if is_lsc else makers)):
        return f"nobody here has issued its {attempt.proof.kind.name} {certificate.subject.rfc4514_string()}"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return f"its {attempt.proof.kind.name} is not valid now"
    if device_of(certificate) != attempt.device:
        return f"its {attempt.proof.kind.name} is of {device_of(certificate) or 'no device'}"
    return "" if _signed(attempt, key) else "the signature is not by the key of its certificate"


def device_of(certificate: x509.Certificate) -> str:
    """The device that the one CN names, "" for none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    match = _NAME.fullmatch(str(names[0].value)) if len(names) == 1 else None
    return match[1] if match else ""


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _signed(attempt: Attempt, key: object) -> bool:
    """Elements 6 and 20; the second is for newer phones and need not be there."""
    octets, proof = attempt.signed_octets, attempt.proof
    if proof.signed is None:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        if not rsa_matches(proof.signed, octets, numbers.n, numbers.e):
            return False
        return proof.sha2_signed is None or rsa_matches(proof.sha2_signed, octets, numbers.n, numbers.e, SHA512)
    if isinstance(key, ec.EllipticCurvePublicKey):
        try:
            key.verify(proof.signed, octets, _SHA1)
        except InvalidSignature:
            return False
        return True
    return False
