"""What certificates call themselves, and how that is shown to people.

A device is who its certificate says: exactly one CN, matched whole, in ASCII. Never a substring or a suffix:
`name in cn` lets other phones in, and so does a pattern that ends with `$` (a line end may follow it).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

DEVICE_NAME = re.compile(r"(?:CP-[0-9A-Z]+(?:-[0-9A-Z]+)*-)?(SEP[0-9A-F]{12})", re.ASCII)
LONGEST = 256  # characters of a name in an event

# Whose certificates are MICs and LSCs: the names that makers and CUCM give to the authorities.
# Matched against the issuer's CN and against the name of the trustpoint, "-", "_" and space being equal.
MIC_AUTHORITY = re.compile(r"\bmanufacturing ca\b|\bmfg ca\b|\bcap rtp 0\d\d\b|\bsudi\b|\bmic\b", re.IGNORECASE)
LSC_AUTHORITY = re.compile(r"\bcapf\b", re.IGNORECASE)


def common_names(name: x509.Name) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]


def device_name(certificate: x509.Certificate) -> str:
    """SEP and twelve hexadecimal digits, "" when the certificate names no device."""
    found = common_names(certificate.subject)
    match = DEVICE_NAME.fullmatch(found[0]) if len(found) == 1 else None
    return match[1] if match else ""


def authority_kind(names: Iterable[str]) -> str:
    """ "MIC", "LSC", or "" for an authority that has nothing to do with phones."""
    plain = [re.sub(r"[-_ ]+", " ", name) for name in names]
    if any(MIC_AUTHORITY.search(name) for name in plain):
        return "MIC"
    if any(LSC_AUTHORITY.search(name) for name in plain):
        return "LSC"
    return ""


def shown(name: x509.Name) -> str:
    """A distinguished name as events have it (RFC 4514): printable and short."""
    text = name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"})
    text = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER, lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def names_host(certificate: x509.Certificate, host: str) -> bool:
    """Whether a server's certificate is for `host` (RFC 5922 7.1: sip: URI or DNS name, no wildcards).

    Addresses match an IP entry. Only a certificate without alternative names is judged by its CN.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return [name.lower() for name in common_names(certificate.subject)] == [host.lower()]
    found = {name.lower() for name in extension.get_values_for_type(x509.DNSName)}
    for uri in extension.get_values_for_type(x509.UniformResourceIdentifier):
        scheme, _, rest = uri.lower().partition(":")
        if scheme == "sip":
            found.add(rest)
    try:
        return ipaddress.ip_address(host) in extension.get_values_for_type(x509.IPAddress)
    except ValueError:
        return host.lower() in found
