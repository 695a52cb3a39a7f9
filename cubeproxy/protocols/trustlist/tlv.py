"""The primitive of all these files: `tag u8 | length u16 | value`, big-endian. It is not BER.

One exception: a header's tag 13 is a bare pad octet without length and value. A text value ends with a NUL that its
length counts. Header tags and record tags are separate number spaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError

PAD = 13
LONGEST = 0xFFFF  # octets of a value


class Tlv(NamedTuple):
    """Where an element stands: `at` is its tag, `start` and `end` bound the value (file offsets)."""

    tag: int
    at: int
    start: int
    end: int


def walk(data: bytes, start: int, end: int, *, pads: bool = False) -> Iterator[Tlv]:
    """The elements between two offsets. TrustListError (truncated) when one does not fit."""
    at = start
    while at < end:
        tag = data[at]
        if pads and tag == PAD:
            yield Tlv(tag, at, at + 1, at + 1)
            at += 1
            continue
        if at + 3 > end:
            raise TrustListError(Rule.TRUNCATED, f"element {tag} at offset {at} has no length")
        stop = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if stop > end:
            raise TrustListError(Rule.TRUNCATED, f"element {tag} at offset {at} ends {stop - end} octets too late")
        yield Tlv(tag, at, at + 3, stop)
        at = stop


def tlv(tag: int, value: bytes) -> bytes:
    if len(value) > LONGEST:
        raise LocalProtocolError(f"{len(value)} octets do not fit into element {tag}")
    return bytes((tag,)) + len(value).to_bytes(2, "big") + value


def text(value: bytes, what: str) -> str:
    """A text value without its NUL. One inside would let two readers see two names."""
    plain = value[:-1] if value.endswith(b"\0") else value
    if b"\0" in plain:
        raise TrustListError(Rule.MALFORMED, f"{what} has a NUL inside")
    return plain.decode("utf-8", "surrogateescape")


def text_value(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape") + b"\0"


def number(value: bytes, size: int, what: str) -> int:
    """An unsigned number of exactly `size` octets."""
    if len(value) != size:
        raise TrustListError(Rule.MALFORMED, f"{what} has {len(value)} octets instead of {size}")
    return int.from_bytes(value, "big")
