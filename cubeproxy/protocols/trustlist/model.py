"""Trust lists and signed files as values.

A file is an `Envelope`: header and what follows it, with the bytes it was read from, since a signature is over bytes.
A `TrustList` is an envelope whose payload is records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

CTL_NAME = "CTLFile.tlv"  # inside the file even when it is served as CTLSEP001122334455.tlv
ITL_NAME = "ITLFile.tlv"
LIST_VERSION = (1, 2)
SIGNED_VERSION = (1, 0)
ENCRYPTED_VERSION = (2, 0)


class Role(IntEnum):
    """Record tag 4. Numbers that are not here are kept as they are."""

    SAST = 0  # System Administrator Security Token: signs the next list
    CCM = 1
    CCM_TFTP = 2
    TFTP = 3
    CAPF = 4
    APP_SERVER = 7
    TVS = 21


SIP_SERVERS = (Role.CCM, Role.CCM_TFTP)
FILE_SIGNERS = (Role.CCM_TFTP, Role.TFTP)


class Digest(IntEnum):
    """Header tags 8 and 26. Nobody writes SHA-256, but the number is defined."""

    SHA1 = 1
    SHA256 = 2
    SHA512 = 3

    @property
    def hash_name(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the payload of an `.enc.sgn` is encrypted: AES-128-CBC, its key by RSA PKCS#1 v1.5 to the device."""

    iv: bytes  # 16 octets
    padding: int  # 1..16, octets 0x0D behind the plain text
    key: bytes  # the encrypted AES key, as long as the device's RSA modulus
    digest: Digest
    plain_digest: bytes  # over the plain text before padding


@dataclass(frozen=True, slots=True)
class Header:
    """Who signed, how, and under which name. Names are DN strings as the producer spells them."""

    version: tuple[int, int]
    signer: str
    serial: bytes  # minimal big-endian, no sign octet; tokens of hardware have it reversed
    issuer: str
    digest: Digest
    signature: bytes  # as long as the signer's RSA modulus
    file_name: str
    timestamp: int  # s since 1970
    signer_version: tuple[int, int] | None = None  # (1, 1): EC keys, HTTPS on 6971
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One certificate and what it may be used for. A stub has a role and a node, and no certificate.

    None stands for an element that is absent.
    """

    role: int
    dns_name: str | None = None  # host name or address of the node
    subject: str | None = None
    issuer: str | None = None
    serial: bytes | None = None
    public_key: bytes | None = None  # RSA: PKCS#1 RSAPublicKey; EC: uncompressed point
    signature: bytes | None = None  # the certificate's own
    certificate: bytes | None = None  # DER
    address: str | None = None  # IPv4 or IPv6 literal
    certificate_hash: bytes | None = None  # the lean form of an ITL
    hash_algorithm: int | None = None

    @property
    def stub(self) -> bool:
        return self.certificate is None

    @property
    def fingerprint(self) -> str:
        """What `show ctl` calls the hash of a record: SHA-1 over the DER, hex, "" for a stub."""
        return hashlib.sha1(self.certificate, usedforsecurity=False).hexdigest() if self.certificate else ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A file that could be read, and nothing said yet about whether it is to be believed."""

    header: Header
    header_length: int  # offset of the payload
    signature_at: tuple[int, int]  # offsets of the whole element 12: what a signature leaves out
    data: bytes = field(repr=False)

    @property
    def payload(self) -> bytes:
        return self.data[self.header_length :]

    @property
    def signed(self) -> tuple[memoryview, memoryview]:
        """The two parts that the signature is over."""
        start, end = self.signature_at
        view = memoryview(self.data)
        return view[:start], view[end:]

    @property
    def fingerprint(self) -> str:
        """SHA-1 over the whole file, hex: what a phone reports as CTL_Signature or ITL_Signature."""
        return hashlib.sha1(self.data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class TrustList:
    """A CTL or an ITL."""

    envelope: Envelope
    records: tuple[Record, ...]

    @property
    def header(self) -> Header:
        return self.envelope.header

    @property
    def data(self) -> bytes:
        return self.envelope.data

    @property
    def is_itl(self) -> bool:
        return self.header.file_name.upper().startswith("ITL")

    def with_role(self, *roles: int) -> Iterator[Record]:
        return (record for record in self.records if record.role in roles)

    def vouches(self, certificate: bytes, roles: Collection[int]) -> Record | None:
        """The record that pins this DER certificate for one of the roles: exact match, no chain is built."""
        found = (record for record in self.with_role(*roles) if record.certificate == certificate)
        return next(found, None)
