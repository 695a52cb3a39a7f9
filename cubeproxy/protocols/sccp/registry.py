"""The messages by their number, and a message to and from octets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar, dataclass_transform

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.layout import read_values, write_body

HEAD = struct.Struct("<III")  # octets from the message id on, header version, message id

# What Wireshark 4.0 takes for SCCP. Anything else it shows as plain TCP.
HEADER_VERSIONS = (0, 10, 11, 15, 16, 17, 18, 19, 20, 21, 22)
HIGHEST = HEADER_VERSIONS[-1]
PREFERRED = 17


def header_version(negotiated: int) -> int:
    """The header version for a negotiated protocol version: the nearest below it that is in use, 0 below 10."""
    return max(version for version in HEADER_VERSIONS if version <= max(negotiated, 0))


class Message:
    """Base of all. `LEAST`: octets of body from which on the rest may be missing; None: all must be there."""

    __slots__ = ()
    ID: ClassVar[int]
    LEAST: ClassVar[int | None] = None


@dataclass(slots=True)
class Unknown:
    """A number that is none of ours, or one that we have no use for: to be counted."""

    id: int
    body: bytes = field(default=b"", repr=False)


MESSAGES: dict[int, type[Message]] = {}
Kind = TypeVar("Kind", bound="Message")


@dataclass_transform()
def message(number: int) -> Callable[[type[Kind]], type[Kind]]:
    """Make a class of fields a message."""

    def register(kind: type[Kind]) -> type[Kind]:
        made = dataclass(slots=True)(kind)
        made.ID = number
        MESSAGES[number] = made
        return made

    return register


def encode(what: Message, version: int = 0) -> bytes:
    """The octets of a whole PDU. They may hold keys: never to be shown."""
    body = write_body(what, version)
    return HEAD.pack(len(body) + 4, version, what.ID) + body


def decode(number: int, body: bytes, version: int) -> Message | Unknown:
    """RemoteProtocolError when the body is not what its number says."""
    kind = MESSAGES.get(number)
    if kind is None:
        return Unknown(number, body)
    try:
        return kind(**read_values(kind, body, version, kind.LEAST))
    except (ValueError, struct.error) as error:
        raise RemoteProtocolError(f"SCCP {kind.__name__}, header version {version}: {error}") from None
