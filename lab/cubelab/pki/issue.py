"""From a profile and the names of whom it is for to a certificate."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

from cubelab.pki.profiles import Key, Profile

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

ATTRIBUTES = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
USAGES = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}
EXTENDED = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "ipsecEndSystem": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
}
HASHES: Mapping[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
CURVES: Mapping[str, ec.EllipticCurve] = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}

Names = Mapping[str, str | Sequence[str]]  # what the placeholders stand for; "addresses" is a list


@dataclass(frozen=True)
class Issued:
    """A certificate with its key. The key never shows."""

    certificate: x509.Certificate
    key: PrivateKey

    def __repr__(self) -> str:
        return f"Issued({self.certificate.subject.rfc4514_string()})"

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make_key(key: Key) -> PrivateKey:
    if key.kind == "ec":
        return ec.generate_private_key(CURVES[key.curve])
    return rsa.generate_private_key(public_exponent=65537, key_size=key.bits)


def issue(
    profile: Profile, names: Names, issuer: Issued | None, now: datetime, key: PrivateKey | None = None
) -> Issued:
    """A certificate after `profile`. `issuer` None signs with its own key; `key` reuses one that exists."""
    key = key or make_key(profile.key)
    subject = _name(profile, names)
    authority = issuer.certificate.subject if issuer else subject
    return Issued(_certify(profile, names, authority, issuer.key if issuer else key, now, key.public_key()), key)


def certify(profile: Profile, names: Names, issuer: Issued, now: datetime, public_key: PublicKey) -> x509.Certificate:
    """A certificate for a key that somebody else keeps: what CAPF does."""
    return _certify(profile, names, issuer.certificate.subject, issuer.key, now, public_key)


def _certify(
    profile: Profile, names: Names, authority: x509.Name, signer: PrivateKey, now: datetime, public_key: PublicKey
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(profile, names))
        .issuer_name(authority)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=profile.days[0]))
        .not_valid_after(now + timedelta(days=profile.days[1]))
    )
    for extension, critical in _extensions(profile, names, public_key, signer):
        builder = builder.add_extension(extension, critical=critical)
    if profile.hash == "sha1":
        return _sign_sha1(builder.sign(signer, hashes.SHA256()), signer)
    return builder.sign(signer, HASHES[profile.hash])


def short_name(certificate: x509.Certificate) -> str:
    """`CN=...` of the subject, the whole subject without one."""
    return _short(certificate.subject)


def issuer_name(certificate: x509.Certificate) -> str:
    return _short(certificate.issuer)


def _short(name: x509.Name) -> str:
    names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f"CN={names[0].value!s}" if names else name.rfc4514_string()


def _sign_sha1(certificate: x509.Certificate, signer: PrivateKey) -> x509.Certificate:
    """The same certificate signed with SHA-1, which `cryptography` refuses to do."""
    old = crypto.X509.from_cryptography(certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # in favour of the builder that cannot do it
        old.sign(crypto.PKey.from_cryptography_key(signer), "sha1")
    return old.to_cryptography()


def _name(profile: Profile, names: Names) -> x509.Name:
    attributes = []
    for word, value in profile.subject.items():
        for text in [value] if isinstance(value, str) else value:
            filled = text.format_map(names)
            attributes.append(x509.NameAttribute(ATTRIBUTES[word], filled))
    return x509.Name(attributes)


def _extensions(
    profile: Profile, names: Names, key: PublicKey, signer: PrivateKey
) -> list[tuple[x509.ExtensionType, bool]]:
    found = extensions_of(profile)
    if alternatives := _alternatives(profile, names):
        found.append((x509.SubjectAlternativeName(alternatives), False))
    if profile.subject_key_identifier:
        found.append((x509.SubjectKeyIdentifier.from_public_key(key), False))
    if profile.authority_key_identifier:
        found.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    return found


def extensions_of(profile: Profile) -> list[tuple[x509.ExtensionType, bool]]:
    """What a profile says about use, whoever it is for; each with whether it is critical."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if constraints := profile.basic_constraints:
        found.append((x509.BasicConstraints(constraints.ca, constraints.path_length), constraints.critical))
    if profile.key_usage:
        wanted = {USAGES[word] for word in profile.key_usage}
        bits = {name: name in wanted for name in USAGES.values()}
        found.append((x509.KeyUsage(**bits, encipher_only=False, decipher_only=False), True))
    if profile.extended_key_usage:
        found.append((x509.ExtendedKeyUsage([EXTENDED[word] for word in profile.extended_key_usage]), False))
    return found


def _alternatives(profile: Profile, names: Names) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for text in profile.alternative_names:
        kind, _, value = text.partition(":")
        if value == "{addresses}":
            found += [x509.IPAddress(ipaddress.ip_address(address)) for address in names.get("addresses", ())]
        elif kind == "dns":
            found.append(x509.DNSName(value.format_map(names)))
        elif kind == "uri":
            found.append(x509.UniformResourceIdentifier(value.format_map(names)))
        else:
            raise ValueError(f"profile {profile.name}: {text} is not a dns:, ip: or uri: name")
    return found
