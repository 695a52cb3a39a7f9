"""Whom a lab endpoint trusts: certificates in a folder or a list, by themselves or as direct issuers.

Enough for phones (which hold their CTL's certificates) and for the virtual CUCM's trust store; the product's own
judgement of devices is in `cubeproxy.pki`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import DeviceIdentity

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Judge = Callable[[list[x509.Certificate]], DeviceIdentity]


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Every certificate of a PEM file, or of all PEM files of a folder."""
    files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
    return [one for file in files for one in x509.load_pem_x509_certificates(file.read_bytes())]


def read_identity(certificate: Path, key: Path) -> tuple[list[x509.Certificate], PrivateKey]:
    """A chain and its key, as TLS settings take them.

    An RSA key is not proved prime again: that takes 40 ms, and a load test has hundreds of phones.
    """
    chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise ValueError(f"{key}: only RSA and EC keys are used in TLS here")
    return chain, private


def trusting(trusted: Iterable[x509.Certificate]) -> Judge:
    """A judge for TLS: the peer's certificate is one of `trusted`, or directly issued by one."""
    known = list(trusted)

    def judge(chain: list[x509.Certificate]) -> DeviceIdentity:
        leaf = chain[0]
        subject, issuer = leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string()
        voucher = next((one for one in known if one == leaf or _issued(leaf, one)), None)
        if voucher is None:
            raise TrustError(
                f"certificate {subject} issued by {issuer}: nobody that this endpoint trusts vouches for it",
                subject=subject,
                issuer=issuer,
                fix="add its issuer to the endpoint's trust list",
            )
        print_ = leaf.fingerprint(hashes.SHA256()).hex()
        return DeviceIdentity("", subject, issuer, "peer", voucher.subject.rfc4514_string(), print_)

    return judge


def _issued(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
