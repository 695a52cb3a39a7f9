"""CAPF messages on the wire: how a phone and the certificate authority proxy function talk (TCP 3804, inside TLS).

    0x55 u8 | command u8 | session u32 | length u16 | elements         element: tag u8 | length u16 | value

The server speaks first and chooses the session number. Elements come in any order, unknown ones are skipped. A message
goes out in one write: real phones stall when header and body arrive apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError

MAGIC = 0x55
HEADER = 8  # octets
LARGEST = 16384  # octets of elements; two certificates and their signatures are a third of it
MOST_ELEMENTS = 64
VERSION = 3


class Command(IntEnum):
    AUTH_REQUEST = 1
    AUTH_RESPONSE = 2
    KEY_GENERATE_REQUEST = 3
    KEY_GENERATE_RESPONSE = 4
    ENCRYPT_RESPONSE = 5
    ENCRYPT_REQUEST = 6
    DECRYPT_REQUEST = 7
    DECRYPT_RESPONSE = 8
    STORE_CERTIFICATE_REQUEST = 9
    STORE_CERTIFICATE_RESPONSE = 10
    FETCH_CERTIFICATE_REQUEST = 11
    FETCH_CERTIFICATE_RESPONSE = 12
    DELETE_CERTIFICATE_REQUEST = 13
    DELETE_CERTIFICATE_RESPONSE = 14
    END_SESSION = 15
    RETRY_LATER = 16
    REQUEST_IN_PROGRESS = 17
    STATUS_REQUEST = 18
    STATUS_RESPONSE = 19
    ABORT_REQUEST = 20
    ABORT_RESPONSE = 21
    SIGN_CERTIFICATE_REQUEST = 22
    SIGN_CERTIFICATE_RESPONSE = 23


class Tag(IntEnum):
    REASON = 1  # u8
    REASON_INFO = 2  # text
    CERTIFICATE_TYPE = 3  # u8
    CERTIFICATE = 4
    CERTIFICATE_ID = 5
    SIGNED_DATA = 6  # by the key of CERTIFICATE, SHA-1
    VERSION = 7  # u8
    AUTH_TYPE = 8  # u8
    PUBLIC_KEY = 9  # DER SubjectPublicKeyInfo
    KEY_SIZE = 10  # u16, bits of RSA
    PASSWORD = 11  # text
    RETRY_DELAY = 12
    DEVICE_NAME = 13  # text
    SUDI_DATA = 16
    KEY_TYPE = 17  # u8
    CURVE = 18  # u8
    DIGEST_TYPE = 19
    SHA2_SIGNED_DATA = 20


class Reason(IntEnum):
    """Element 1. Others are unknown, and taken for failure."""

    NO_ACTION = 0
    OK = 1
    DECLINED = 7  # invalid element, wrong authentication string
    UNKNOWN_DEVICE = 9


class CertificateType(IntEnum):
    LSC = 1
    MIC = 2


class KeyType(IntEnum):
    RSA = 0
    EC = 1


class Curve(IntEnum):
    P256 = 0
    P384 = 1
    P521 = 2


RSA_SIZES = (512, 1024, 2048, 3072, 4096)  # bits


@dataclass(slots=True, frozen=True)
class KeyRequest:
    """The key that a phone is to make: `bits` of RSA, or a curve."""

    bits: int = 2048
    curve: Curve | None = None

    def __post_init__(self) -> None:
        if self.curve is None and self.bits not in RSA_SIZES:
            raise LocalProtocolError(f"CAPF knows no RSA keys of {self.bits} bits")

    def elements(self, version: int) -> list[tuple[int, bytes]]:
        """Clients older than version 3 get the size alone, as a real server does."""
        if self.curve is not None:
            return [(Tag.KEY_TYPE, u8(KeyType.EC)), (Tag.CURVE, u8(self.curve))]
        size = [(int(Tag.KEY_SIZE), self.bits.to_bytes(2, "big"))]
        return [*size, (Tag.KEY_TYPE, u8(KeyType.RSA))] if version >= VERSION else size


@dataclass(slots=True, frozen=True)
class Message:
    """`elements` in the order of the wire. Their values may be secrets, and never show."""

    command: int
    session: int
    elements: tuple[tuple[int, bytes], ...] = ()

    def __repr__(self) -> str:
        tags = ", ".join(f"{tag}:{len(value)}" for tag, value in self.elements)
        return f"Message({self.command}, session {self.session}, {{{tags}}})"

    def get(self, tag: int) -> bytes | None:
        return next((value for found, value in self.elements if found == tag), None)

    def number(self, tag: int, size: int = 1) -> int | None:
        value = self.get(tag)
        if value is not None and len(value) != size:
            raise RemoteProtocolError(f"CAPF element {tag} has {len(value)} octets instead of {size}")
        return None if value is None else int.from_bytes(value, "big")

    def text(self, tag: int) -> str | None:
        """ASCII up to the NUL at its end."""
        value = self.get(tag)
        if value is None:
            return None
        plain = value.removesuffix(b"\0")
        if b"\0" in plain or not plain.isascii():
            raise RemoteProtocolError(f"CAPF element {tag} is no text")
        return plain.decode("ascii")

    def serialise(self) -> bytes:
        body = b"".join(bytes((tag,)) + u16(len(value)) + value for tag, value in self.elements)
        if len(body) > LARGEST:
            raise LocalProtocolError(f"a CAPF message of {len(body)} octets")
        return bytes((MAGIC, self.command)) + self.session.to_bytes(4, "big") + u16(len(body)) + body


def message(command: Command, session: int, elements: Iterable[tuple[int, bytes]] = ()) -> Message:
    return Message(int(command), session, tuple((int(tag), value) for tag, value in elements))


def parse_message(data: bytes) -> Message:
    """One whole message. RemoteProtocolError."""
    if len(data) < HEADER or data[0] != MAGIC or len(data) != HEADER + int.from_bytes(data[6:8], "big"):
        raise RemoteProtocolError("no CAPF message", fatal=True)
    elements: list[tuple[int, bytes]] = []
    at = HEADER
    while at < len(data):
        end = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if at + 3 > len(data) or end > len(data):
            raise RemoteProtocolError(f"CAPF element {data[at]} does not fit its message", fatal=True)
        if len(elements) == MOST_ELEMENTS or any(tag == data[at] for tag, _ in elements):
            raise RemoteProtocolError(f"CAPF element {data[at]} is one too many", fatal=True)
        elements.append((data[at], data[at + 3 : end]))
        at = end
    return Message(data[1], int.from_bytes(data[2:6], "big"), tuple(elements))


class Framer:
    """Cuts a stream into messages: the same ones however the octets are split. Holds one message at most."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.broken = False

    def receive(self, data: bytes) -> list[Message | RemoteProtocolError]:
        """What has become whole. An error comes last, and nothing follows it."""
        found: list[Message | RemoteProtocolError] = []
        self._held += data
        while not self.broken and self._held:
            try:
                end = self._end()
                if end is None:
                    break
                found.append(parse_message(bytes(self._held[:end])))
                del self._held[:end]
            except RemoteProtocolError as error:
                self.broken = True
                found.append(error)
        if self.broken:
            self._held.clear()
        return found

    def _end(self) -> int | None:
        """Octets of the first message, None when it is not all there. Judged as early as possible."""
        if self._held[0] != MAGIC:
            raise RemoteProtocolError(f"a CAPF message begins with 0x55, not with {self._held[0]:#04x}", fatal=True)
        if len(self._held) < HEADER:
            return None
        length = int.from_bytes(self._held[6:8], "big")
        if length > LARGEST:
            raise RemoteProtocolError(f"a CAPF message of {length} octets", fatal=True)
        return HEADER + length if len(self._held) >= HEADER + length else None


def u8(value: int) -> bytes:
    return bytes((value,))


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def text_value(value: str) -> bytes:
    return value.encode("ascii") + b"\0"


def certificate_value(der: bytes, kind: CertificateType) -> bytes:
    """Element 4: `01 | u16 | 00 | type u8 | DER`, the length counts from the 00."""
    return b"\x01" + u16(len(der) + 2) + b"\x00" + u8(kind) + der


def read_certificate(value: bytes) -> tuple[CertificateType, bytes]:
    """Type and DER of element 4. RemoteProtocolError."""
    whole = len(value) > 5 and value[0] == 1 and int.from_bytes(value[1:3], "big") == len(value) - 3 and value[3] == 0
    if not whole or value[4] not in CertificateType.__members__.values():
        raise RemoteProtocolError("a CAPF certificate element of an unknown form")
    return CertificateType(value[4]), value[5:]
