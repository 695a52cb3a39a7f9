"""SCEP messages as values (RFC 8894 3): what is asked, and what was answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum

from asn1crypto import core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cubeproxy.pki.scep import cms
from cubeproxy.pki.scep.cms import ScepError

LARGEST = 1 << 20  # octets of a message


class Kind(Enum):
    """messageType."""

    REPLY = "3"  # CertRep
    RENEWAL = "17"  # RenewalReq
    REQUEST = "19"  # PKCSReq
    POLL = "20"  # CertPoll, once GetCertInitial


class Status(Enum):
    """pkiStatus."""

    SUCCESS = "0"
    FAILURE = "2"
    PENDING = "3"


#  failInfo: what it means, and what to do
FAILURES = {
    "0": ("badAlg", "the authority does not take our algorithms", "use another hash or cipher"),
    "1": ("badMessageCheck", "the authority could not verify our message", "compare clocks and authority certificates"),
    "2": ("badRequest", "the authority does not allow this request",
          "is the challenge password right, unused and not expired (NDES: mscep_admin), and the template published?"),
    "3": ("badTime", "the time in our message is too far off", "set the clock (NTP)"),
    "4": ("badCertId", "the authority has no such request", "enrol again"),
}  # fmt: skip


@dataclass(frozen=True)
class Message:
    """A pkiMessage. `content` is the enveloped part, still closed; b"" when there is none."""

    kind: Kind
    transaction: str
    sender_nonce: bytes  # 16 octets
    recipient_nonce: bytes = b""
    status: Status | None = None
    failure: str = ""  # failInfo
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Identity:
    """Who signs a message. The key never shows."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)


def write(message: Message, identity: Identity, digest: str = "sha256") -> bytes:
    attributes: dict[str, str | bytes] = {
        cms.MESSAGE_TYPE: message.kind.value,
        cms.TRANSACTION: message.transaction,
        cms.SENDER_NONCE: message.sender_nonce,
    }
    if message.status is not None:
        attributes[cms.STATUS] = message.status.value
    if message.failure:
        attributes[cms.FAILURE] = message.failure
    if message.recipient_nonce:
        attributes[cms.RECIPIENT_NONCE] = message.recipient_nonce
    return cms.sign(message.content, identity.certificate, identity.key, attributes, digest)


def read(data: bytes) -> tuple[Message, x509.Certificate]:
    """A message and its signer, whose signature is right. ScepError."""
    if len(data) > LARGEST:
        raise ScepError(f"a SCEP message of {len(data)} octets")
    signed = cms.verify(data)
    found = signed.attributes
    status = _text(found, cms.STATUS)
    try:
        message = Message(
            kind=Kind(_text(found, cms.MESSAGE_TYPE)),
            transaction=_text(found, cms.TRANSACTION),
            sender_nonce=_octets(found, cms.SENDER_NONCE),
            recipient_nonce=_octets(found, cms.RECIPIENT_NONCE),
            status=Status(status) if status else None,
            failure=_text(found, cms.FAILURE),
            content=signed.content,
        )
    except ValueError as error:
        raise ScepError(f"a SCEP message of an unknown kind: {error}") from None
    return message, signed.signer


def _text(found: cms.Attributes, name: str) -> str:
    value = found.get(name, "")
    return value if isinstance(value, str) and len(value) <= 255 else ""


def _octets(found: cms.Attributes, name: str) -> bytes:
    value = found.get(name, b"")
    return value if isinstance(value, bytes) and len(value) <= 64 else b""


def transaction_of(key: rsa.RSAPublicKey) -> str:
    """The same for every attempt with the same key, so that the authority knows them again (RFC 8894 3.2.1.1)."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest().upper()


class IssuerAndSubject(core.Sequence):  # type: ignore[misc]
    """What a poll asks for (RFC 8894 3.3.3)."""

    _fields = [("issuer", asn1.Name), ("subject", asn1.Name)]  # noqa: RUF012 - asn1crypto wants a list


def issuer_and_subject(issuer: x509.Name, subject: x509.Name) -> bytes:
    names = {"issuer": asn1.Name.load(issuer.public_bytes()), "subject": asn1.Name.load(subject.public_bytes())}
    return bytes(IssuerAndSubject(names).dump())
