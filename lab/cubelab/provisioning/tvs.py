"""TVS messages (TCP 2445, inside TLS): a phone asks whether a certificate may be believed, and for what.

    0x57 | 1 | command | reserved | session u32 | length u16 | elements        element: tag u8 | length u16 | value

VERIFY sends a certificate; QUERY names one by subject, issuer and serial number, and gets it. The reserved octet is
garbage in replies of real servers: it is not looked at. One request a connection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from cubeproxy.protocols.errors import RemoteProtocolError

PORT = 2445
MAGIC, VERSION = 0x57, 1
HEADER = struct.Struct(">BBBBIH")
LARGEST = 8192  # octets of elements
TTL = 86400  # s that a phone keeps an answer


class Command(IntEnum):
    VERIFY_REQUEST = 1
    VERIFY_RESPONSE = 2
    QUERY_REQUEST = 3
    QUERY_RESPONSE = 4


class Tag(IntEnum):
    DEVICE = 1  # 01, then the device name, no NUL
    CERTIFICATE = 2  # DER
    SUBJECT = 3
    ISSUER = 4
    SERIAL = 5
    STATUS = 7  # u8: 0 valid, 1 invalid
    ROLES = 8  # u8 each
    TTL = 9  # u32, s


@dataclass(slots=True, frozen=True)
class Question:
    """With a certificate it is a VERIFY, else a QUERY."""

    session: int
    device: str
    certificate: bytes | None = None
    subject: str = ""
    issuer: str = ""
    serial: bytes = b""

    def serialise(self) -> bytes:
        device = (Tag.DEVICE, b"\x01" + self.device.encode())
        if self.certificate is not None:
            return _message(Command.VERIFY_REQUEST, self.session, device, (Tag.CERTIFICATE, self.certificate))
        names = ((Tag.SUBJECT, _text(self.subject)), (Tag.ISSUER, _text(self.issuer)), (Tag.SERIAL, self.serial))
        return _message(Command.QUERY_REQUEST, self.session, device, *names)


@dataclass(slots=True, frozen=True)
class Verdict:
    """`roles` as in trust lists; a certificate that is not valid has none."""

    session: int
    valid: bool
    roles: frozenset[int] = field(default_factory=frozenset)
    certificate: bytes | None = None  # of a QUERY
    ttl: int = TTL  # s

    def serialise(self, command: Command) -> bytes:
        if not self.valid:
            return _message(command, self.session, (Tag.STATUS, b"\x01"))
        elements = [(Tag.STATUS, b"\x00")]
        if self.certificate is not None:
            elements.append((Tag.CERTIFICATE, self.certificate))
        elements += [(Tag.ROLES, bytes(sorted(self.roles))), (Tag.TTL, self.ttl.to_bytes(4, "big"))]
        return _message(command, self.session, *elements)


def parse_question(data: bytes) -> Question:
    """RemoteProtocolError."""
    command, session, elements = _parse(data)
    device = elements.get(Tag.DEVICE, b"")[1:].decode("ascii", "replace")
    if command == Command.VERIFY_REQUEST and Tag.CERTIFICATE in elements:
        return Question(session, device, elements[Tag.CERTIFICATE])
    if command == Command.QUERY_REQUEST and elements.keys() >= {Tag.SUBJECT, Tag.ISSUER, Tag.SERIAL}:
        subject, issuer = (elements[tag].rstrip(b"\0").decode("utf-8", "replace") for tag in (Tag.SUBJECT, Tag.ISSUER))
        return Question(session, device, None, subject, issuer, elements[Tag.SERIAL])
    raise RemoteProtocolError(f"TVS command {command} is no question")


def parse_verdict(data: bytes, session: int) -> Verdict:
    """RemoteProtocolError."""
    command, answered, elements = _parse(data)
    if command not in (Command.VERIFY_RESPONSE, Command.QUERY_RESPONSE) or answered != session:
        raise RemoteProtocolError(f"TVS command {command} of session {answered} answers nothing that was asked")
    if elements.get(Tag.STATUS) != b"\x00":
        return Verdict(session, False)
    roles = frozenset(elements.get(Tag.ROLES, b""))
    ttl = int.from_bytes(elements.get(Tag.TTL, b"")[:4], "big")
    return Verdict(session, True, roles, elements.get(Tag.CERTIFICATE), ttl)


def length_of(header: bytes) -> int:
    """Octets that follow a header. RemoteProtocolError."""
    magic, version, _, _, _, length = HEADER.unpack(header)
    if (magic, version) != (MAGIC, VERSION) or length > LARGEST:
        raise RemoteProtocolError("no TVS message, or a very long one")
    return int(length)


def _message(command: Command, session: int, *elements: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes((tag,)) + len(value).to_bytes(2, "big") + value for tag, value in elements)
    return HEADER.pack(MAGIC, VERSION, command, 0, session, len(body)) + body


def _parse(data: bytes) -> tuple[int, int, dict[int, bytes]]:
    if len(data) < HEADER.size or len(data) != HEADER.size + length_of(data[: HEADER.size]):
        raise RemoteProtocolError(f"{len(data)} octets are no TVS message")
    _, _, command, _, session, _ = HEADER.unpack_from(data)
    elements: dict[int, bytes] = {}
    at = HEADER.size
    while at < len(data):
        end = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if at + 3 > len(data) or end > len(data):
            raise RemoteProtocolError("a TVS element that does not fit")
        elements.setdefault(data[at], data[at + 3 : end])
        at = end
    return command, session, elements


def _text(value: str) -> bytes:
    return value.encode() + b"\0"
