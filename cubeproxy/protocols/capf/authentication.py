"""How a phone shows CAPF who it is: nothing, an authentication string, or the key of a certificate that it has.

The proof of a certificate is over device name, a NUL and the DER. An RSA key signs `00 01 FF .. FF 00 | hash` as it
is: there is no DigestInfo between, so no ready signature function fits. An EC key makes ECDSA with SHA-1. The same with
SHA-512 is element 20. A SUDI (element 16) is proved over the session number, little-endian, and its DER.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from cubeproxy.protocols.capf.messages import (
    CertificateType,
    Command,
    Message,
    Tag,
    certificate_value,
    message,
    read_certificate,
    text_value,
    u8,
    u16,
)
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError

SHA1, SHA512 = 1, 3  # hash codes of elements 16 and 20
_HASHES = {SHA1: "sha1", SHA512: "sha512"}


class AuthMode(IntEnum):
    """Element 8, and `capfAuthMode` of a phone's configuration."""

    NONE = 0  # nothing pending
    STRING = 1
    NULL = 2  # no proof at all: for a closed room
    LSC = 3  # existing certificate, the LSC first
    MIC = 4  # existing certificate, the MIC


@dataclass(slots=True, frozen=True)
class Proof:
    """What a phone puts into AUTH_RESPONSE to prove itself. None: the element is left out."""

    password: str | None = field(default=None, repr=False)
    certificate: bytes | None = None  # DER
    kind: CertificateType = CertificateType.MIC
    signed: bytes | None = None  # element 6
    sha2_signed: bytes | None = None  # the signature in element 20, by SHA-512
    sudi: bytes | None = None

    def elements(self) -> list[tuple[int, bytes]]:
        """By string and null string, element 11 has the string: NUL alone when it is empty."""
        found: list[tuple[int, bytes | None]] = [
            (Tag.CERTIFICATE, None if self.certificate is None else certificate_value(self.certificate, self.kind)),
            (Tag.SIGNED_DATA, self.signed),
            (Tag.PASSWORD, text_value(self.password or "")),
            (Tag.SUDI_DATA, self.sudi),
            (Tag.SHA2_SIGNED_DATA, None if self.sha2_signed is None else sha2_value(self.sha2_signed)),
        ]
        return [(tag, value) for tag, value in found if value is not None]


@dataclass(slots=True, frozen=True)
class Attempt:
    """An AUTH_RESPONSE as the server's owner judges it."""

    session: int
    device: str
    version: int
    proof: Proof

    @property
    def signed_octets(self) -> bytes:
        return auth_octets(self.device, self.proof.certificate or b"")


def auth_octets(device: str, certificate: bytes) -> bytes:
    """What elements 6 and 20 are over."""
    return text_value(device) + certificate


def sudi_octets(session: int, certificate: bytes) -> bytes:
    """What the signatures of element 16 are over. The real server takes its own byte order, which is little-endian."""
    return session.to_bytes(4, "little") + certificate


def auth_response(session: int, device: str, proof: Proof, version: int) -> Message:
    elements = [
        (Tag.REASON, u8(1)),
        (Tag.VERSION, u8(version)),
        *proof.elements(),
        (Tag.DEVICE_NAME, text_value(device)),
    ]
    return message(Command.AUTH_RESPONSE, session, elements)


def read_attempt(response: Message) -> Attempt:
    """RemoteProtocolError when device name or version are missing, or an element is broken."""
    device, version = response.text(Tag.DEVICE_NAME), response.number(Tag.VERSION)
    if not device or version is None:
        raise RemoteProtocolError("a CAPF authentication without device name or version")
    value = response.get(Tag.CERTIFICATE)
    kind, certificate = (CertificateType.MIC, None) if value is None else read_certificate(value)
    sha2 = response.get(Tag.SHA2_SIGNED_DATA)
    proof = Proof(
        password=response.text(Tag.PASSWORD),
        certificate=certificate,
        kind=kind,
        signed=response.get(Tag.SIGNED_DATA),
        sha2_signed=None if sha2 is None else read_sha2(sha2),
        sudi=response.get(Tag.SUDI_DATA),
    )
    return Attempt(response.session, device, version, proof)


def authenticated(
    mode: AuthMode, attempt: Attempt, password: str = "", verify: Callable[[Attempt], bool] | None = None
) -> bool:
    """Whether an attempt satisfies the mode of its device. `verify` looks at certificate and signature."""
    match mode:
        case AuthMode.NULL:
            return True
        case AuthMode.STRING:
            given = attempt.proof.password or ""
            return bool(password) and hmac.compare_digest(given.encode(), password.encode())
        case AuthMode.LSC | AuthMode.MIC:
            allowed = mode is AuthMode.LSC or attempt.proof.kind is CertificateType.MIC
            has_proof = attempt.proof.certificate is not None and attempt.proof.signed is not None
            return allowed and has_proof and verify is not None and verify(attempt)
        case _:
            return False


def rsa_block(octets: bytes, size: int, code: int = SHA1) -> bytes:
    """What a private RSA key of `size` octets is applied to: type 1 padding and the bare hash."""
    digest = hashlib.new(_HASHES[code], octets, usedforsecurity=False).digest()
    filler = size - 3 - len(digest)
    if filler < 8:
        raise LocalProtocolError(f"a key of {size * 8} bits cannot sign {len(digest)} octets")
    return b"\x00\x01" + b"\xff" * filler + b"\x00" + digest


def rsa_matches(signature: bytes, octets: bytes, modulus: int, exponent: int, code: int = SHA1) -> bool:
    """The whole block is compared: one that only ends with the hash can be forged for small exponents."""
    size = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= modulus or exponent.bit_length() > 64:
        return False
    try:
        wanted = rsa_block(octets, size, code)
    except LocalProtocolError:
        return False
    return hmac.compare_digest(pow(number, exponent, modulus).to_bytes(size, "big"), wanted)


def sha2_value(signature: bytes) -> bytes:
    return u8(SHA512) + u16(len(signature)) + signature


def read_sha2(value: bytes) -> bytes:
    if len(value) < 3 or value[0] != SHA512 or int.from_bytes(value[1:3], "big") != len(value) - 3:
        raise RemoteProtocolError("a CAPF signature element of an unknown form")
    return value[3:]


def sudi_value(certificate: bytes, sha1_signature: bytes, sha512_signature: bytes) -> bytes:
    """Element 16: `00 | u16 | DER`, `01 | u16 | signature`, `03 | u16 | signature`."""
    parts = ((0, certificate), (SHA1, sha1_signature), (SHA512, sha512_signature))
    return b"".join(u8(tag) + u16(len(value)) + value for tag, value in parts)


def read_sudi(value: bytes) -> tuple[bytes, bytes, bytes]:
    """Certificate, signature by SHA-1, signature by SHA-512. RemoteProtocolError."""
    parts: dict[int, bytes] = {}
    at = 0
    while at + 3 <= len(value):
        end = at + 3 + int.from_bytes(value[at + 1 : at + 3], "big")
        if end > len(value) or value[at] in parts:
            break
        parts[value[at]] = value[at + 3 : end]
        at = end
    if at != len(value) or parts.keys() != {0, SHA1, SHA512}:
        raise RemoteProtocolError("a CAPF SUDI element of an unknown form")
    return parts[0], parts[SHA1], parts[SHA512]
