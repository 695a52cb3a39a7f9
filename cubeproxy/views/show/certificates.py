"""`show crypto pki certificates` and `show crypto pki trustpoints [status]`.

The certificates are in the layout that public parsers read (ntc-templates); that of trustpoints is from memory.
Nothing of a key is shown but whether there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from cubeproxy.pki.names import common_names, fingerprint
from cubeproxy.pki.store import Material
from cubeproxy.views.sources import Sources
from cubeproxy.views.trustpoints import validity

ATTRIBUTES = {
    NameOID.EMAIL_ADDRESS: "e",
    NameOID.COMMON_NAME: "cn",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "ou",
    NameOID.ORGANIZATION_NAME: "o",
    NameOID.LOCALITY_NAME: "l",
    NameOID.STATE_OR_PROVINCE_NAME: "st",
    NameOID.COUNTRY_NAME: "c",
    NameOID.SERIAL_NUMBER: "serialNumber",
}
STATUS = {"valid": "Available", "expiring": "Available", "expired": "Expired", "not yet valid": "Not yet valid"}
NONE = "No trustpoints are configured\n"


@dataclass
class Listed:
    """A certificate, once, with all trustpoints that have it."""

    title: str
    certificate: x509.Certificate
    own: bool
    trustpoints: list[str] = field(default_factory=list)


def certificates(sources: Sources) -> str:
    now = sources.wall()
    found: dict[tuple[str, str], Listed] = {}
    for listed in _listed(sources.trustpoints()):
        kept = found.setdefault((listed.title, fingerprint(listed.certificate)), listed)
        kept.trustpoints += [name for name in listed.trustpoints if name not in kept.trustpoints]
    return "\n".join(_certificate(listed, now) for listed in found.values()) or "No certificates\n"


def _listed(materials: list[Material]) -> Iterator[Listed]:
    for material in materials:
        for place, certificate in enumerate(material.own):
            title = "Certificate"
            if place:
                title = "CA Certificate"
            elif certificate.issuer == certificate.subject:
                title = "Router Self-Signed Certificate"
            yield Listed(title, certificate, not place, [material.name])
        for certificate in material.ca:
            yield Listed("CA Certificate", certificate, False, [material.name])


def _certificate(listed: Listed, now: datetime) -> str:
    certificate = listed.certificate
    subject = list(_name(certificate.subject))
    if listed.own:
        subject = [f"Name: {name}" for name in common_names(certificate.subject)[:1]] + subject
    file = f"{listed.trustpoints[0]}#{certificate.serial_number & 0xFFFF:X}{'' if listed.own else 'CA'}.cer"
    rows = [
        listed.title,
        f"  Status: {STATUS[validity(certificate, now)]}",
        f"  Certificate Serial Number (hex): {certificate.serial_number:X}",
        f"  Certificate Usage: {_usage(certificate)}",
        "  Issuer: ",
        *(f"    {row}" for row in _name(certificate.issuer)),
        "  Subject:",
        *(f"    {row}" for row in subject),
        *_distribution(certificate),
        "  Validity Date: ",
        f"    start date: {_date(certificate.not_valid_before_utc)}",
        f"    end   date: {_date(certificate.not_valid_after_utc)}",
        f"  Associated Trustpoints: {' '.join(listed.trustpoints)} ",
        f"  Storage: nvram:{file}",
        "",
    ]
    return "\n".join(rows)


def trustpoints(sources: Sources) -> str:
    rows: list[str] = []
    for material in sources.trustpoints():
        rows.append(f"Trustpoint {material.name}:")
        for certificate in (material.ca or material.own)[:1]:
            rows += ["    Subject Name: ", *(f"    {row}" for row in _name(certificate.subject))]
            rows += [f"          Serial Number (hex): {certificate.serial_number:X}", "    Certificate configured."]
        if not material.ca and not material.own:
            rows.append("    Not authenticated.")
        rows.append("")
    return "\n".join(rows) or NONE


def trustpoint_status(sources: Sources) -> str:
    rows: list[str] = []
    for material in sources.trustpoints():
        rows.append(f"Trustpoint {material.name}:")
        for title, found in (("Issuing CA", material.ca), ("Router General Purpose", material.own[:1])):
            for certificate in found:
                rows += [f"  {title} certificate configured:", *_fingerprints(certificate)]
        made = "Yes (General Purpose, non-exportable)" if material.key else "No"
        requested = "Yes" if material.own else "None"
        crls = f"{len(material.crls)}{' (demanded)' if material.crl_required else ''}"
        rows += [
            "  State:",
            f"    Keys generated ............. {made}",
            f"    Issuing CA authenticated ....... {'Yes' if material.ca or material.selfsigned else 'No'}",
            f"    Certificate request(s) ..... {requested}",
            f"    Revocation lists ............... {crls}",
            "",
        ]
    return "\n".join(rows) or NONE


def _fingerprints(certificate: x509.Certificate) -> list[str]:
    return [
        "    Subject Name:",
        *(f"     {row}" for row in _name(certificate.subject)),
        f"    Fingerprint SHA1: {certificate.fingerprint(hashes.SHA1()).hex().upper()}",  # noqa: S303
        f"    Fingerprint SHA256: {fingerprint(certificate).upper()}",
    ]


def _name(name: x509.Name) -> Iterator[str]:
    """In the order of the router: the common name first. One attribute a line, printable."""
    order = list(ATTRIBUTES)
    known = [attribute for attribute in name if attribute.oid in ATTRIBUTES]
    for attribute in sorted(known, key=lambda one: order.index(one.oid)):
        text = "".join(letter if letter.isprintable() else "?" for letter in str(attribute.value))
        yield f"{ATTRIBUTES[attribute.oid]}={text}"


def _usage(certificate: x509.Certificate) -> str:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return "General Purpose"
    return "General Purpose" if usage.key_encipherment else "Signature"


def _distribution(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    urls = [name.value for point in points for name in point.full_name or () if isinstance(name.value, str)]
    return ["  CRL Distribution Points: ", *(f"    {url}" for url in urls)] if urls else []


def _date(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC {at:%b} {at.day} {at.year}"
