"""TFTP datagrams (RFC 1350, options RFC 2347) as values.

    1 RRQ, 2 WRQ   name 0 mode 0 [option 0 value 0]...
    3 DATA         block u16, octets         4 ACK   block u16
    5 ERROR        code u16, text 0          6 OACK  [option 0 value 0]...

What cannot be read is a RemoteProtocolError. Option names are in lower case, their values are text as received.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from cubeproxy.protocols.errors import RemoteProtocolError

LARGEST_REQUEST = 512  # octets (RFC 2347)
MOST_OPTIONS = 16
OCTET = "octet"


class Opcode(IntEnum):
    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(IntEnum):
    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    FULL = 3
    ILLEGAL = 4
    UNKNOWN_TID = 5
    EXISTS = 6
    NO_USER = 7
    OPTIONS = 8  # RFC 2347


@dataclass(slots=True, frozen=True)
class Request:
    """A read request, or a write request, which nobody here obeys."""

    file_name: str
    mode: str = OCTET  # lower case
    options: Mapping[str, str] = field(default_factory=dict)
    write: bool = False

    def serialise(self) -> bytes:
        opcode = Opcode.WRQ if self.write else Opcode.RRQ
        return _u16(opcode) + _string(self.file_name) + _string(self.mode) + _write_options(self.options)


@dataclass(slots=True, frozen=True)
class Data:
    block: int  # 0..65535
    payload: bytes

    def serialise(self) -> bytes:
        return _u16(Opcode.DATA) + _u16(self.block) + self.payload


@dataclass(slots=True, frozen=True)
class Ack:
    block: int

    def serialise(self) -> bytes:
        return _u16(Opcode.ACK) + _u16(self.block)


@dataclass(slots=True, frozen=True)
class Error:
    code: int
    text: str = ""

    def serialise(self) -> bytes:
        return _u16(Opcode.ERROR) + _u16(self.code) + _string(self.text)


@dataclass(slots=True, frozen=True)
class OptionAck:
    options: Mapping[str, str]

    def serialise(self) -> bytes:
        return _u16(Opcode.OACK) + _write_options(self.options)


Packet = Request | Data | Ack | Error | OptionAck


def parse_packet(data: bytes) -> Packet:
    """One datagram."""
    opcode, rest = int.from_bytes(data[:2], "big"), data[2:]
    match opcode if len(data) >= 2 else None:
        case Opcode.RRQ | Opcode.WRQ:
            return _request(rest, write=opcode == Opcode.WRQ)
        case Opcode.DATA if len(rest) >= 2:
            return Data(int.from_bytes(rest[:2], "big"), rest[2:])
        case Opcode.ACK if len(rest) >= 2:
            return Ack(int.from_bytes(rest[:2], "big"))
        case Opcode.ERROR if len(rest) >= 2:
            return Error(int.from_bytes(rest[:2], "big"), _text(rest[2:].partition(b"\0")[0]))
        case Opcode.OACK if len(rest) < LARGEST_REQUEST:
            return OptionAck(_options(_strings(rest)))
    raise RemoteProtocolError(f"a datagram of {len(data)} octets with opcode {opcode} is no TFTP")


def is_error(data: bytes) -> bool:
    """Whether a datagram is an ERROR, to which no ERROR is ever the answer."""
    return data[:2] == _u16(Opcode.ERROR)


def _request(rest: bytes, *, write: bool) -> Request:
    if len(rest) > LARGEST_REQUEST:
        raise RemoteProtocolError(f"a TFTP request of {len(rest)} octets")
    strings = _strings(rest)
    if len(strings) < 2 or not strings[0]:
        raise RemoteProtocolError("a TFTP request without name or mode")
    return Request(_text(strings[0]), _text(strings[1]).lower(), _options(strings[2:]), write)


def _strings(rest: bytes) -> list[bytes]:
    """What stands before each NUL. Something behind the last is an error."""
    *strings, tail = rest.split(b"\0")
    if tail:
        raise RemoteProtocolError("a TFTP string without its end")
    return strings


def _options(strings: list[bytes]) -> dict[str, str]:
    while strings and not strings[-1]:
        strings = strings[:-1]  # some clients fill a request up with NULs
    if len(strings) % 2 or len(strings) > 2 * MOST_OPTIONS:
        raise RemoteProtocolError(f"TFTP options of {len(strings)} strings")
    options = {_text(name).lower(): _text(value) for name, value in zip(strings[::2], strings[1::2], strict=True)}
    if len(options) * 2 != len(strings):
        raise RemoteProtocolError("a TFTP option stands there twice")
    return options


def _write_options(options: Mapping[str, str]) -> bytes:
    return b"".join(_string(name) + _string(value) for name, value in options.items())


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _string(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape") + b"\0"


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")
