"""A certificate request (PKCS#10) as an authority reads it, also from those who do not sort a DER set.

`cryptography` refuses what is not in order, and strongSwan's attributes are not. So the signature is checked over the
octets that came, and then everything else is read from the same request in order.
"""

from __future__ import annotations

from asn1crypto import csr
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, InvalidSignature, UnsupportedAlgorithm)


class BadRequest(Exception):
    """No request, or not signed by its own key."""


def read_request(der: bytes) -> x509.CertificateSigningRequest:
    """The request, its signature being right; that of the answer may not be, since it was put in order. BadRequest."""
    try:
        found = csr.CertificationRequest.load(der, strict=True)
        info = found["certification_request_info"]
        _check(info, found["signature"].native, HASHES[found["signature_algorithm"].hash_algo])
        attributes = sorted(one.dump() for one in info["attributes"])
        info["attributes"] = csr.CRIAttributes([csr.CRIAttribute.load(one) for one in attributes])
        request = x509.load_der_x509_csr(found.dump(force=True))
        list(request.extensions)  # read when it is looked at
    except UNREADABLE as error:
        raise BadRequest(f"{type(error).__name__}: {error}") from None
    return request


def _check(info: csr.CertificationRequestInfo, signature: bytes, algorithm: hashes.HashAlgorithm) -> None:
    key = serialization.load_der_public_key(info["subject_pk_info"].dump())
    octets = info.dump()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, octets, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, octets, ec.ECDSA(algorithm))
    else:
        raise BadRequest("a key that is neither RSA nor elliptic curve")
