"""How the fields of a message stand in its body: little-endian integers, padded strings, addresses in network order.

A message is a dataclass whose fields are annotated with their kind, in the order of the wire:

    party: U32 = 0
    mixing_mode: Annotated[int, Unsigned(4), Versions(11)] = 0

`Versions` says from which to which header version a field is there. A body that ends between two fields leaves the
rest at their defaults if the message allows it (`LEAST`); what stands behind the last field is passed over, for
newer peers add to the end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Protocol, get_type_hints

from cubeproxy.protocols.errors import LocalProtocolError

WIDE = 17  # header version from which an address is a type and 16 octets
IPV4, IPV6 = 0, 1  # types of addresses; 2 is both, 3 invalid


class Kind(Protocol):
    """One sort of field. `read` returns the value and the position behind it; struct.error or ValueError."""

    def write(self, value: Any, version: int) -> bytes: ...
    def read(self, data: bytes, position: int, version: int) -> tuple[Any, int]: ...


def take(data: bytes, position: int, octets: int) -> tuple[bytes, int]:
    """ValueError when there are not so many."""
    end = position + octets
    if end > len(data):
        raise ValueError(f"{end - len(data)} octets short")
    return data[position:end], end


@dataclass(frozen=True)
class Unsigned:
    octets: int

    def write(self, value: int, version: int) -> bytes:
        return value.to_bytes(self.octets, "little")

    def read(self, data: bytes, position: int, version: int) -> tuple[int, int]:
        taken, end = take(data, position, self.octets)
        return int.from_bytes(taken, "little"), end


@dataclass(frozen=True)
class Signed:
    octets: int

    def write(self, value: int, version: int) -> bytes:
        return value.to_bytes(self.octets, "little", signed=True)

    def read(self, data: bytes, position: int, version: int) -> tuple[int, int]:
        taken, end = take(data, position, self.octets)
        return int.from_bytes(taken, "little", signed=True), end


@dataclass(frozen=True)
class Text:
    """ASCII, NUL padded; `longer` octets from header version `since`. What does not fit is cut off."""

    octets: int
    longer: int = 0
    since: int = 99

    def size(self, version: int) -> int:
        return self.longer if version >= self.since else self.octets

    def write(self, value: str, version: int) -> bytes:
        size = self.size(version)
        return value.encode("ascii", "replace")[:size].ljust(size, b"\0")

    def read(self, data: bytes, position: int, version: int) -> tuple[str, int]:
        taken, end = take(data, position, self.size(version))
        text = taken.partition(b"\0")[0].decode("ascii", "replace")
        return "".join(each if each.isprintable() else "?" for each in text), end


@dataclass(frozen=True)
class Octets:
    """So many octets as they are, NUL padded."""

    octets: int

    def write(self, value: bytes, version: int) -> bytes:
        return value[: self.octets].ljust(self.octets, b"\0")

    def read(self, data: bytes, position: int, version: int) -> tuple[bytes, int]:
        return take(data, position, self.octets)


@dataclass(frozen=True)
class Counted:
    """A length of four octets, and as many octets of data."""

    most: int

    def write(self, value: bytes, version: int) -> bytes:
        return struct.pack("<I", min(len(value), self.most)) + value[: self.most]

    def read(self, data: bytes, position: int, version: int) -> tuple[bytes, int]:
        taken, position = take(data, position, 4)
        octets = int.from_bytes(taken, "little")
        if octets > self.most:
            raise ValueError(f"{octets} octets of text")
        return take(data, position, octets)


@dataclass(frozen=True)
class PlainIPv4:
    """Four octets whatever the version. "" is 0.0.0.0."""

    def write(self, value: str, version: int) -> bytes:
        return IPv4Address(value or 0).packed

    def read(self, data: bytes, position: int, version: int) -> tuple[str, int]:
        taken, end = take(data, position, 4)
        return str(IPv4Address(taken)), end


@dataclass(frozen=True)
class Host:
    """Four octets of IPv4 in narrow versions; a type and 16 octets from `WIDE` on, IPv4 in the first four."""

    def write(self, value: str, version: int) -> bytes:
        address = ip_address(value or 0)
        if version >= WIDE:
            kind = IPV6 if isinstance(address, IPv6Address) else IPV4
            return struct.pack("<I16s", kind, address.packed)
        if isinstance(address, IPv6Address):
            raise LocalProtocolError(f"SCCP header version {version} carries no IPv6 address")
        return address.packed

    def read(self, data: bytes, position: int, version: int) -> tuple[str, int]:
        if version < WIDE:
            return PlainIPv4().read(data, position, version)
        taken, end = take(data, position, 20)
        kind = int.from_bytes(taken[:4], "little")
        if kind == IPV6:
            return str(IPv6Address(taken[4:])), end
        if kind == IPV4:
            return str(IPv4Address(taken[4:8])), end
        raise ValueError(f"address type {kind}")


@dataclass(frozen=True)
class Versions:
    """The header versions in which a field is there, both included."""

    first: int = 0
    last: int = 99


U8 = Annotated[int, Unsigned(1)]
U16 = Annotated[int, Unsigned(2)]
U32 = Annotated[int, Unsigned(4)]


@dataclass(frozen=True)
class Row:
    name: str
    kind: Kind
    versions: Versions


_ROWS: dict[type[Any], tuple[Row, ...]] = {}


def rows(message: type[Any]) -> tuple[Row, ...]:
    """The fields of a message in the order of the wire; found once."""
    known = _ROWS.get(message)
    if known is None:
        hints = get_type_hints(message, include_extras=True).items()
        marked = [(name, hint.__metadata__) for name, hint in hints if hasattr(hint, "__metadata__")]
        known = tuple(Row(name, marks[0], marks[1] if len(marks) > 1 else Versions()) for name, marks in marked)
        _ROWS[message] = known
    return known


def write_body(message: Any, version: int) -> bytes:
    """LocalProtocolError for a value that its field cannot hold."""
    try:
        return b"".join(
            row.kind.write(getattr(message, row.name), version)
            for row in rows(type(message))
            if row.versions.first <= version <= row.versions.last
        )
    except (OverflowError, ValueError) as error:
        raise LocalProtocolError(f"{type(message).__name__}: {error}") from None


def read_values(message: type[Any], data: bytes, version: int, least: int | None) -> dict[str, Any]:
    """The fields in a body; struct.error or ValueError. A body of `least` octets or more may end between two fields."""
    values: dict[str, Any] = {}
    position = 0
    for row in rows(message):
        if row.versions.first <= version <= row.versions.last:
            if least is not None and position >= least and position == len(data):
                break
            values[row.name], position = row.kind.read(data, position, version)
    return values
