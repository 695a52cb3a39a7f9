"""The records of a trust list, read by tag and written in ascending tag order as CUCM does.

A record begins with its length, which counts these five octets too, and the next one follows at once, until the file
ends. A record of tags 1, 2, 4 and 10 alone, a stub without certificate, is legal: it makes a phone register without
security.
"""

from __future__ import annotations

import ipaddress

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.trustlist.model import Record
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.tlv import LONGEST, number, text, text_value, tlv, walk

MOST = 1000  # records of one file
PREFIX = 5  # octets of the length element

DNS_NAME, SUBJECT, FUNCTION, ISSUER, SERIAL = 2, 3, 4, 5, 6
PUBLIC_KEY, SIGNATURE, CERTIFICATE, ADDRESS, HASH, HASH_ALGORITHM = 7, 8, 9, 10, 11, 12


def read_records(data: bytes, start: int) -> tuple[Record, ...]:
    """All records from an offset to the end of the file. TrustListError (truncated, malformed)."""
    records: list[Record] = []
    at = start
    while at < len(data):
        if len(records) == MOST:
            raise TrustListError(Rule.TOO_LARGE, f"more than {MOST} records")
        end = _end(data, at)
        records.append(_record(data, at + PREFIX, end))
        at = end
    return tuple(records)


def _end(data: bytes, at: int) -> int:
    if at + PREFIX > len(data):
        raise TrustListError(Rule.TRUNCATED, f"the record at offset {at} has no length")
    if data[at : at + 3] != b"\x01\x00\x02":
        raise TrustListError(Rule.MALFORMED, f"no record begins at offset {at}")
    length = int.from_bytes(data[at + 3 : at + PREFIX], "big")
    if length < PREFIX:
        raise TrustListError(Rule.MALFORMED, f"the record at offset {at} has {length} octets")
    if at + length > len(data):
        raise TrustListError(
            Rule.TRUNCATED, f"the record at offset {at} ends {at + length - len(data)} octets too late"
        )
    return at + length


def _record(data: bytes, start: int, end: int) -> Record:
    values: dict[int, bytes] = {}
    for element in walk(data, start, end):
        if element.tag in values or element.tag == 1:
            raise TrustListError(Rule.MALFORMED, f"record element {element.tag} stands there twice")
        if DNS_NAME <= element.tag <= HASH_ALGORITHM:  # others are unknown, and skipped
            values[element.tag] = data[element.start : element.end]
    if FUNCTION not in values:
        raise TrustListError(Rule.MALFORMED, f"the record at offset {start - PREFIX} has no role")
    return Record(
        role=number(values[FUNCTION], 2, "role"),
        dns_name=_text(values, DNS_NAME),
        subject=_text(values, SUBJECT),
        issuer=_text(values, ISSUER),
        serial=values.get(SERIAL),
        public_key=values.get(PUBLIC_KEY),
        signature=values.get(SIGNATURE),
        certificate=values.get(CERTIFICATE),
        address=_address(values.get(ADDRESS)),
        certificate_hash=values.get(HASH),
        hash_algorithm=number(values[HASH_ALGORITHM], 1, "hash algorithm") if HASH_ALGORITHM in values else None,
    )


def _text(values: dict[int, bytes], tag: int) -> str | None:
    return text(values[tag], f"record element {tag}") if tag in values else None


def _address(value: bytes | None) -> str | None:
    if value is None:
        return None
    if len(value) not in (4, 16):
        raise TrustListError(Rule.MALFORMED, f"an address of {len(value)} octets")
    return str(ipaddress.ip_address(value))


def write_record(record: Record) -> bytes:
    address = ipaddress.ip_address(record.address).packed if record.address is not None else None
    elements: tuple[tuple[int, bytes | None], ...] = (
        (DNS_NAME, _optional_text(record.dns_name)),
        (SUBJECT, _optional_text(record.subject)),
        (FUNCTION, record.role.to_bytes(2, "big")),
        (ISSUER, _optional_text(record.issuer)),
        (SERIAL, record.serial),
        (PUBLIC_KEY, record.public_key),
        (SIGNATURE, record.signature),
        (CERTIFICATE, record.certificate),
        (ADDRESS, address),
        (HASH, record.certificate_hash),
        (HASH_ALGORITHM, bytes((record.hash_algorithm,)) if record.hash_algorithm is not None else None),
    )
    body = b"".join(tlv(tag, value) for tag, value in elements if value is not None)
    if PREFIX + len(body) > LONGEST:
        raise LocalProtocolError(f"a record of {PREFIX + len(body)} octets has no length")
    return tlv(1, (PREFIX + len(body)).to_bytes(2, "big")) + body


def _optional_text(value: str | None) -> bytes | None:
    return None if value is None else text_value(value)
