"""Certificates and lists for these tests: made once, with fixed names and serial numbers."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from cubeproxy.protocols.trustlist import (
    Digest,
    Record,
    Role,
    Signer,
    TrustList,
    read_list,
    record_of,
    sign_list,
    stub_of,
)

NOW = 1_795_500_000
CONFIG = b'<?xml version="1.0" encoding="UTF-8"?>\n<device><fullConfig>true</fullConfig></device>\n'
CONFIG_NAME = "SEP001122334455.cnf.xml.sgn"


def rsa_key(name: str, bits: int = 1024) -> rsa.RSAPrivateKey:
    return _rsa_key(name, bits)


@cache
def _rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    """Of its own, since a cache tells a default from the same value given."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def name_of(common_name: str) -> x509.Name:
    """In the order that authorities use, which is not CUCM's."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Voice"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@cache
def certificate(common_name: str, *, bits: int = 1024, serial: int = 0x9D01, curve: bool = False) -> x509.Certificate:
    """Self-signed, like CallManager.pem and CAPF.pem."""
    key = ec_key(common_name) if curve else rsa_key(common_name, bits)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(common_name))
        .issuer_name(name_of(common_name))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2040, 1, 1))
    )
    return builder.sign(key, hashes.SHA256())


@cache
def signer(common_name: str, bits: int = 1024, serial: int = 0x9D01) -> Signer:
    return Signer(certificate(common_name, bits=bits, serial=serial), rsa_key(common_name, bits))


def sast(common_name: str) -> Record:
    return record_of(certificate(common_name), Role.SAST, common_name)


def ctl_octets(by: str = "SAST1", *others: Record, timestamp: int = NOW, digest: Digest = Digest.SHA1) -> bytes:
    return sign_list([sast(by), *others], signer(by), timestamp, digest=digest)


@cache
def mixed_mode_ctl() -> TrustList:
    """Two SASTs, one node that signs files, CAPF, and a node that is not secure."""
    return read_list(
        ctl_octets(
            "SAST1",
            sast("SAST2"),
            record_of(certificate("CCM1"), Role.CCM_TFTP, "ccm1", "10.0.0.8"),
            record_of(certificate("CAPF-1"), Role.CAPF, "ccm1", "10.0.0.8"),
            stub_of(Role.CCM_TFTP, "ccm2", "10.0.0.9"),
        )
    )
