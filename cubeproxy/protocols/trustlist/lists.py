"""CTL and ITL files, and signed files, as whole files: reading, and writing with a signature.

Reading says nothing about trust: see `validate`. A list is signed once and then served as the same octets.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cubeproxy.protocols.trustlist.header import read_envelope
from cubeproxy.protocols.trustlist.model import (
    CTL_NAME,
    ENCRYPTED_VERSION,
    LIST_VERSION,
    SIGNED_VERSION,
    Digest,
    Envelope,
    Record,
    TrustList,
)
from cubeproxy.protocols.trustlist.names import name_text, serial_octets
from cubeproxy.protocols.trustlist.records import read_records, write_record
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.signing import Signer, public_key_octets, sign


def read_list(data: bytes) -> TrustList:
    """A CTL or ITL. TrustListError says which rule of the format is broken."""
    envelope = read_envelope(data)
    if envelope.header.encryption is not None:
        raise TrustListError(Rule.VERSION, "an encrypted file is no trust list")
    return TrustList(envelope, read_records(data, envelope.header_length))


def read_signed(data: bytes) -> Envelope:
    """A `.sgn` file: its payload is the file as it was before signing."""
    envelope = read_envelope(data)
    if envelope.header.version[0] == ENCRYPTED_VERSION[0]:
        raise TrustListError(Rule.VERSION, "the file is encrypted for one device, and cannot be changed on its way")
    return envelope


def record_of(certificate: x509.Certificate, role: int, dns_name: str = "", address: str | None = None) -> Record:
    """The record of a certificate, with all elements that CUCM writes."""
    return Record(
        role=role,
        dns_name=dns_name,
        subject=name_text(certificate.subject),
        issuer=name_text(certificate.issuer),
        serial=serial_octets(certificate),
        public_key=public_key_octets(certificate),
        signature=certificate.signature,
        certificate=certificate.public_bytes(Encoding.DER),
        address=address,
    )


def stub_of(role: int, dns_name: str, address: str | None = None) -> Record:
    """A node without certificate: phones register with it without security."""
    return Record(role=role, dns_name=dns_name, address=address)


def sign_list(
    records: Iterable[Record],
    signer: Signer,
    timestamp: int,
    *,
    digest: Digest = Digest.SHA1,
    file_name: str = CTL_NAME,
    signer_version: tuple[int, int] | None = None,
) -> bytes:
    payload = b"".join(map(write_record, records))
    return sign(
        signer,
        payload,
        version=LIST_VERSION,
        file_name=file_name,
        timestamp=timestamp,
        digest=digest,
        signer_version=signer_version,
    )


def sign_file(payload: bytes, file_name: str, signer: Signer, timestamp: int, digest: Digest = Digest.SHA1) -> bytes:
    """A `.sgn`: `file_name` is the served name, folder and `.sgn` included."""
    return sign(signer, payload, version=SIGNED_VERSION, file_name=file_name, timestamp=timestamp, digest=digest)
