"""Certificate requests (PKCS#10), after templates: what a company's authority is asked to certify.

The template "Web Server X509v3" is the one that multi-server certificates of a cluster are made with: RSA 2048,
SHA-256, three purposes, and every server's name as an alternative name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from cubeproxy.protocols.errors import TrustError

IPSEC_END_SYSTEM = ObjectIdentifier("1.3.6.1.5.5.7.3.5")
RSA_BITS = 2048
MOST_NAMES = 100  # alternative names of one request

_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_ATTRIBUTES = {
    "CN": NameOID.COMMON_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "L": NameOID.LOCALITY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "C": NameOID.COUNTRY_NAME,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "E": NameOID.EMAIL_ADDRESS,
}


@dataclass(frozen=True)
class Template:
    """What a request asks for beside the names."""

    name: str
    purposes: tuple[ObjectIdentifier, ...]
    non_repudiation: bool = False
    data_encipherment: bool = False
    bits: int = RSA_BITS


TEMPLATES = {
    template.name: template
    for template in (
        Template(
            "web-server-x509v3",
            (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, IPSEC_END_SYSTEM),
            non_repudiation=True,
            data_encipherment=True,
        ),
        Template("router", (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)),
    )
}


def parse_subject(text: str) -> x509.Name:
    """`cn=cube.example.com, ou=voice, c=US` as `subject-name` has it. TrustError for what cannot be a name."""
    attributes = []
    for part in re.split(r"(?<!\\),", text):
        word, equals, value = part.strip().partition("=")
        oid = _ATTRIBUTES.get(word.strip().upper())
        if not equals or oid is None:
            raise TrustError(f"{part.strip()[:80]!r} is no part of a subject name", fix="cn=NAME, o=..., ou=..., c=..")
        try:
            attributes.append(x509.NameAttribute(oid, value.strip().replace("\\,", ",")))
        except ValueError as error:
            raise TrustError(f"the subject cannot have {part.strip()[:80]!r}: {error}") from None
    return x509.Name(attributes)


def parse_alternative(text: str) -> x509.GeneralName:
    """`dns:NAME`, `ip:ADDRESS`, `uri:URI`, `email:ADDRESS`, or a bare name or address. TrustError."""
    kind, colon, value = text.partition(":")
    if not colon or kind.lower() not in ("dns", "ip", "uri", "email"):
        kind, value = ("ip" if _is_address(text) else "dns"), text
    try:
        match kind.lower():
            case "ip":
                return x509.IPAddress(ipaddress.ip_address(value))
            case "uri":
                return x509.UniformResourceIdentifier(value)
            case "email":
                return x509.RFC822Name(value)
    except ValueError as error:
        raise TrustError(f"{text[:80]!r} is no alternative name: {error}") from None
    if not _HOST.fullmatch(value):
        raise TrustError(f"{value[:80]!r} is no host name", fix="dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS")
    return x509.DNSName(value)


def alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    """All of them, each once. TrustError."""
    if len(names) > MOST_NAMES:
        raise TrustError(f"{len(names)} alternative names, {MOST_NAMES} are allowed")
    return list(dict.fromkeys(map(parse_alternative, names)))


def make_key(template: Template) -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=template.bits)


def make_request(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    names: Sequence[x509.GeneralName],
    template: Template,
    challenge: str = "",
) -> x509.CertificateSigningRequest:
    """A signed request. `challenge` is the challenge password (PKCS#9), which NDES wants to see."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(_usage(template), critical=True)
        .add_extension(x509.ExtendedKeyUsage(template.purposes), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if challenge:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    return builder.sign(key, hashes.SHA256())


def _usage(template: Template) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=template.non_repudiation,
        key_encipherment=True,
        data_encipherment=template.data_encipherment,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
