"""What certificates there are and how long they last: rows for `cubeproxy pki list`, its JSON and the shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from cryptography import x509

from cubeproxy.pki.names import fingerprint, shown
from cubeproxy.pki.store import Material, Store

SOON = 30  # days before the end at which a certificate is "expiring"


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate of a trustpoint, or a trustpoint without any."""

    trustpoint: str
    kind: str  # "ca", "own", "self-signed", "" for none
    state: str  # "valid", "expiring", "expired", "not yet valid", "not authenticated", "no key"
    subject: str = ""
    issuer: str = ""
    serial: str = ""  # hexadecimal
    until: str = ""  # ISO 8601, UTC
    days: int | None = None  # left, negative after the end
    sha256: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def rows(store: Store, now: datetime) -> Iterator[Row]:
    """Every certificate, trustpoint by trustpoint."""
    for material in store.material.values():
        found = list(_rows(material, now))
        yield from found or [Row(material.name, "", "not authenticated")]


def _rows(material: Material, now: datetime) -> Iterator[Row]:
    for place, certificate in enumerate(material.own):
        kind = "own" if place == 0 else "ca"
        if place == 0 and certificate.issuer == certificate.subject:
            kind = "self-signed"
        lost = place == 0 and (material.key is None or material.key.public_key() != certificate.public_key())
        yield _row(material.name, kind, certificate, now, "no key" if lost else "")
    for certificate in material.ca:
        yield _row(material.name, "ca", certificate, now, "")


def _row(trustpoint: str, kind: str, certificate: x509.Certificate, now: datetime, state: str) -> Row:
    until = certificate.not_valid_after_utc
    return Row(
        trustpoint,
        kind,
        validity(certificate, now) if validity(certificate, now) != "valid" or not state else state,
        shown(certificate.subject),
        shown(certificate.issuer),
        f"{certificate.serial_number:X}",
        until.isoformat(),
        (until - now).days,
        fingerprint(certificate),
    )


def validity(certificate: x509.Certificate, now: datetime) -> str:
    if now > certificate.not_valid_after_utc:
        return "expired"
    if now < certificate.not_valid_before_utc:
        return "not yet valid"
    return "expiring" if (certificate.not_valid_after_utc - now).days < SOON else "valid"
