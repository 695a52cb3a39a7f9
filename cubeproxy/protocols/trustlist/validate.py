"""What a phone believes: the rules in the order they are tried, each with a name (`Rule`).

    list held?   signer of the new list must be
    no           a SAST record of the new list itself (leap of faith, once)
    yes          a SAST record of a list that is held; its certificate there verifies the new one

A signed file needs a signer with the role CCM+TFTP or TFTP in a list that is held. Certificates are pinned: no chain
is built and no validity period is looked at, as on the phones. A list is signed over all its octets but the signature,
and the signature has one form only, so a single changed bit anywhere is found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from cryptography import x509

from cubeproxy.protocols.trustlist.lists import read_list, read_signed
from cubeproxy.protocols.trustlist.model import FILE_SIGNERS, Envelope, Record, Role, TrustList
from cubeproxy.protocols.trustlist.names import serial_octets
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.signing import check_signature, load_certificate, public_key_octets

MOST_SAST = 2


def validate_list(data: bytes, held: Sequence[TrustList] = (), *, refuse_older: bool = False) -> TrustList:
    """A list that may be stored. TrustListError says which rule it broke.

    `held` is what the receiver has (CTL, ITL); none is the leap of faith. `refuse_older` compares with the held list
    of the same kind; phones do not, as far as is known.
    """
    found = read_list(data)
    if not found.header.file_name.lower().endswith(".tlv"):
        raise TrustListError(Rule.FILE_NAME, f"{found.header.file_name} is no trust list", signer=found.header.signer)
    check_records(found.records)
    check_signer(found.envelope, held or (found,), (Role.SAST,))
    if refuse_older:
        _check_age(found, held)
    return found


def validate_signed(data: bytes, held: Sequence[TrustList], file_name: str) -> Envelope:
    """A `.sgn` whose payload may be used. `file_name` is the name that was asked for."""
    envelope = read_signed(data)
    check_signer(envelope, held, FILE_SIGNERS)
    check_name(envelope, file_name)
    return envelope


def validate_signed_by(data: bytes, certificates: Iterable[x509.Certificate], file_name: str) -> Envelope:
    """The same for who holds certificates and no list: a proxy with its `cucm-tftp` trustpoints.

    The certificate is found by its serial number, in either order of octets; names are spelt differently by different
    producers, and the signature is what proves.
    """
    envelope = read_signed(data)
    serials = (envelope.header.serial, envelope.header.serial[::-1])
    _check_any(envelope, [one for one in certificates if serial_octets(one) in serials])
    check_name(envelope, file_name)
    return envelope


def check_name(envelope: Envelope, file_name: str) -> None:
    header = envelope.header
    if header.file_name != file_name:
        text = f"{file_name} was asked for, {header.file_name} is what was signed"
        raise TrustListError(Rule.FILE_NAME, text, signer=header.signer)


def check_signer(envelope: Envelope, lists: Iterable[TrustList], roles: Collection[int]) -> None:
    """The signer stands in one of the lists, with one of the roles, and made this signature."""
    header = envelope.header
    known = [record for one in lists for record in one.records if _is_signer(record, envelope)]
    if known and not any(record.role in roles for record in known):
        names = ", ".join(sorted({_role_name(record.role) for record in known}))
        wanted = " or ".join(_role_name(role) for role in roles)
        text = f"{header.signer} is listed as {names}, and {wanted} has to sign {header.file_name}"
        raise TrustListError(Rule.ROLE, text, signer=header.signer)
    _check_any(envelope, [load_certificate(record.certificate or b"") for record in known if record.role in roles])


def _is_signer(record: Record, envelope: Envelope) -> bool:
    header = envelope.header
    return record.certificate is not None and (record.issuer, record.serial) == (header.issuer, header.serial)


def _check_any(envelope: Envelope, certificates: Sequence[x509.Certificate]) -> None:
    """One of the candidates verifies. None at all: the signer is unknown."""
    header = envelope.header
    if not certificates:
        text = f"nothing vouches for {header.signer}, serial number {header.serial.hex()}"
        raise TrustListError(Rule.SIGNER_UNKNOWN, text, signer=header.signer)
    for place, certificate in enumerate(certificates):
        try:
            check_signature(envelope, certificate)
        except TrustListError:
            if place == len(certificates) - 1:
                raise
        else:
            return


def check_records(records: Sequence[Record]) -> None:
    """One or two SAST records, and no record that contradicts its own certificate."""
    count = sum(record.role == Role.SAST for record in records)
    if not 1 <= count <= MOST_SAST:
        raise TrustListError(Rule.TWO_SAST, f"{count} SAST records, there must be one or two")
    for place, record in enumerate(records, 1):
        if record.certificate is None:
            continue
        certificate = load_certificate(record.certificate)
        if record.public_key is not None and record.public_key != public_key_octets(certificate):
            raise TrustListError(Rule.RECORD, f"record {place} ({record.subject}) has a key its certificate has not")


def _check_age(found: TrustList, held: Iterable[TrustList]) -> None:
    for one in held:
        if one.is_itl == found.is_itl and found.header.timestamp < one.header.timestamp:
            age = one.header.timestamp - found.header.timestamp
            raise TrustListError(Rule.OLDER, f"{age} s older than the list that is held", signer=found.header.signer)


def _role_name(role: int) -> str:
    return Role(role).name.replace("_", "+") if role in Role.__members__.values() else f"role {role}"
