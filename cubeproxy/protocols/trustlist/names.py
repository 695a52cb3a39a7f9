"""Distinguished names and serial numbers as CUCM writes them into these files.

Phones compare a signer with the records by the issuer's text and the serial number, so a producer has to be of one
mind. CUCM's mind: `CN;OU;O;L;ST;C` in this order whatever the order of the certificate, `;` between, nothing else.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

ORDER = (
    (NameOID.COMMON_NAME, "CN"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
    (NameOID.ORGANIZATION_NAME, "O"),
    (NameOID.LOCALITY_NAME, "L"),
    (NameOID.STATE_OR_PROVINCE_NAME, "ST"),
    (NameOID.COUNTRY_NAME, "C"),
)


def name_text(name: x509.Name) -> str:
    """`CN=CAPF-4e5f6071;OU=Voice;O=Lab`. Domain components and serial numbers are left out, as CUCM does."""
    parts = (f"{label}={attribute.value!s}" for oid, label in ORDER for attribute in name.get_attributes_for_oid(oid))
    return ";".join(part.replace("\0", "") for part in parts)


def serial_octets(certificate: x509.Certificate) -> bytes:
    """Minimal, unsigned, big-endian: the high bit may be set, there is no sign octet."""
    serial = certificate.serial_number
    return serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big")
