"""What a phone believes of lists, files and TLS peers, and how it says so. Pure: the flash is an argument.

nothing held          the first CTL is taken on faith; the first ITL too if there is no CTL
a list held           its SAST records verify the next list, its CCM+TFTP and TFTP records verify files
a TLS peer            its certificate stands in a held list, with the role that it plays: no chain, no host name
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cubeproxy.protocols.trustlist import (
    FILE_SIGNERS,
    Envelope,
    Record,
    Role,
    TrustList,
    validate_list,
    validate_signed,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A list that goes into the flash, and why."""

    found: TrustList
    why: str


def judge_list(data: bytes, held: Sequence[TrustList], *, refuse_older: bool = False) -> Accepted:
    """TrustListError says which rule the list broke; what is held stays in force then."""
    found = validate_list(data, held, refuse_older=refuse_older)
    if not held:
        return Accepted(found, f"taken on faith, since no list was held; it is signed by {_signer(found.envelope)}")
    if any(one.data == data for one in held):
        return Accepted(found, "the one that is held already")
    which = next(one for one in held if _vouches(one, found.envelope, (Role.SAST,)))
    return Accepted(found, f"signed by {_signer(found.envelope)}, a SAST of the {name_of(which)} that was held")


def judge_file(data: bytes, held: Sequence[TrustList], name: str) -> tuple[Envelope, str]:
    """A `.sgn` and why it is believed. TrustListError."""
    envelope = validate_signed(data, held, name)
    which = next(one for one in held if _vouches(one, envelope, FILE_SIGNERS))
    return envelope, f"signature by {_signer(envelope)}, listed for files in the {name_of(which)}"


def pinned(certificate: bytes, held: Sequence[TrustList], roles: Collection[int]) -> tuple[Record, TrustList] | None:
    """The record that has this certificate (DER) with one of the roles, and the list that has the record."""
    for one in held:
        record = one.vouches(certificate, roles)
        if record is not None:
            return record, one
    return None


def name_of(held: TrustList) -> str:
    return "ITL" if held.is_itl else "CTL"


def contents(found: TrustList) -> str:
    """`4 records: SAST, CCM+TFTP, 2 CAPF`."""
    counted = Counter(role_name(one.role) for one in found.records)
    roles = ", ".join(name if number == 1 else f"{number} {name}" for name, number in counted.items())
    return f"{len(found.records)} records: {roles}"


def role_name(role: int) -> str:
    return Role(role).name.replace("_", "+") if role in Role.__members__.values() else f"role {role}"


def _vouches(held: TrustList, envelope: Envelope, roles: Collection[int]) -> bool:
    header = envelope.header
    return any((one.issuer, one.serial) == (header.issuer, header.serial) for one in held.with_role(*roles))


def _signer(envelope: Envelope) -> str:
    """The CN alone: it comes first in these files."""
    return envelope.header.signer.partition(";")[0]
