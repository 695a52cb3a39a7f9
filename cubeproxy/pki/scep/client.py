"""Our end of SCEP: which HTTP request comes next, until there is a certificate. Sans-IO.

    CAPABILITIES -> AUTHORITIES -> ENROLLING -> (PENDING -> ENROLLING)... -> DONE

The trustpoint must be authenticated before: whoever answers has to stand under its authority. NDES has two certificates
of its own (RA) beside it, one to encrypt to and one that signs.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from urllib.parse import urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cubeproxy.pki.anchors import ChainError, TrustAnchors
from cubeproxy.pki.names import shown
from cubeproxy.pki.scep import cms
from cubeproxy.pki.scep.cms import ScepError
from cubeproxy.pki.scep.messages import (
    FAILURES,
    Identity,
    Kind,
    Message,
    Status,
    issuer_and_subject,
    read,
    transaction_of,
    write,
)
from cubeproxy.protocols.errors import LocalProtocolError, TrustError

LONGEST_URL = 512
SELF_SIGNED = timedelta(days=2)  # of the certificate that signs a first request
POLL_INTERVAL = 60.0  # s, as the router's `enrollment retry period`
MOST_POLLS = 10


class State(Enum):
    CAPABILITIES = auto()
    AUTHORITIES = auto()
    ENROLLING = auto()
    PENDING = auto()
    DONE = auto()


@dataclass(frozen=True)
class Ask:
    """An HTTP request: POST where there is a body."""

    url: str
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Wait:
    """The authority has not decided: call `poll` after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Enrolled:
    """`chain` is leaf first; others that came along follow."""

    chain: tuple[x509.Certificate, ...]


Step = Ask | Wait | Enrolled


def checked_url(url: str) -> str:
    """TrustError for what is no URL of an authority."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > LONGEST_URL or parts.username:
        raise TrustError(
            f"{url[:80]!r} is no enrollment URL",
            fix="http://HOST/certsrv/mscep/mscep.dll as NDES has it",
        )
    return url.rstrip("?&")


def operation_url(url: str, operation: str, message: str = "") -> str:
    """NDES wants `pkiclient.exe` behind mscep.dll, as routers add it by themselves."""
    if urlsplit(url).path.endswith("mscep.dll"):
        url += "/pkiclient.exe"
    query = {"operation": operation} | ({"message": message} if message else {})
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"


def read_authorities(body: bytes) -> tuple[x509.Certificate, ...]:
    """The answer to GetCACert: one certificate, or a bundle with those of the RA. ScepError."""
    try:
        return (x509.load_der_x509_certificate(body),)
    except ValueError:
        found = cms.unbundle(body)
    if not found:
        raise ScepError("the authority's answer holds no certificate")
    return found


class Enrolment:
    """One certificate. `old` signs a renewal; without it a certificate of the moment does."""

    def __init__(
        self,
        url: str,
        request: x509.CertificateSigningRequest,
        key: rsa.RSAPrivateKey,
        authority: Sequence[x509.Certificate],
        now: datetime,
        old: Identity | None = None,
    ) -> None:
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TrustError("SCEP takes RSA keys only: the answer is encrypted to ours", fix="make the request anew")
        self.state = State.CAPABILITIES
        self._url = checked_url(url)
        self._request = request
        self._key = key
        self._authority = list(authority)
        self._anchors = TrustAnchors({"authority": self._authority})
        self._now = now
        self._identity = old or _of_the_moment(request, key, now)
        self._renews = old is not None
        self._transaction = transaction_of(key.public_key())
        self._capabilities: frozenset[str] = frozenset()
        self._ra: tuple[x509.Certificate, ...] = ()
        self._recipient: x509.Certificate | None = None
        self._nonce = b""
        self._polls = 0

    def start(self) -> Ask:
        return Ask(operation_url(self._url, "GetCACaps"))

    def receive(self, status: int, body: bytes) -> Step:
        """The answer to the last Ask. ScepError, TrustError."""
        match self.state:
            case State.CAPABILITIES:  # an authority without this operation answers anything
                words = body.decode("ascii", "replace").split() if status == 200 and len(body) < 4096 else []
                self._capabilities = frozenset(word.lower().strip(",") for word in words)
                self.state = State.AUTHORITIES
                return Ask(operation_url(self._url, "GetCACert"))
            case State.AUTHORITIES:
                self._meet(_good(status, body))
                self.state = State.ENROLLING
                kind = Kind.RENEWAL if self._renews and "renewal" in self._capabilities else Kind.REQUEST
                return self._ask(kind, self._request.public_bytes(Encoding.DER))
            case State.ENROLLING:
                return self._reply(_good(status, body))
        raise LocalProtocolError(f"SCEP in {self.state.name} waits for no answer")

    def poll(self) -> Ask:
        if self.state is not State.PENDING:
            raise LocalProtocolError(f"SCEP in {self.state.name} has nothing to poll for")
        self.state = State.ENROLLING
        issuer = self._authority[0].subject
        return self._ask(Kind.POLL, issuer_and_subject(issuer, self._request.subject))

    # asking

    def _meet(self, body: bytes) -> None:
        """Whom to encrypt to, and who may sign: the authority, or an RA under it."""
        trusted = [one for one in read_authorities(body) if self._stands_under(one)]
        if not trusted:
            found = ", ".join(shown(one.subject) for one in read_authorities(body))
            raise TrustError(
                f"whoever answers ({found}) is not the authority that the trustpoint has",
                fix="compare the fingerprint, and authenticate the trustpoint with --url again",
            )
        self._ra = tuple(trusted)
        able = [one for one in trusted if isinstance(one.public_key(), rsa.RSAPublicKey)]
        wanted = [one for one in able if _may(one, "key_encipherment")]
        # an RA is preferred to the authority itself, whose key may be in a drawer
        wanted.sort(key=lambda one: one in self._authority)
        if not wanted:
            raise ScepError("the authority shows no RSA certificate that a request could be encrypted to")
        self._recipient = wanted[0]

    def _stands_under(self, certificate: x509.Certificate) -> bool:
        try:
            self._anchors.chain([certificate], self._now)
        except ChainError:
            return False
        return True

    def _ask(self, kind: Kind, content: bytes) -> Ask:
        assert self._recipient is not None
        strong = bool({"aes", "scepstandard"} & self._capabilities)
        enveloped = cms.encrypt(content, self._recipient, "aes128_cbc" if strong else "tripledes_3key")
        self._nonce = secrets.token_bytes(16)
        message = Message(kind, self._transaction, self._nonce, content=enveloped)
        digest = "sha256" if {"sha-256", "scepstandard"} & self._capabilities else "sha1"
        data = write(message, self._identity, digest)
        if {"postpkioperation", "scepstandard"} & self._capabilities:
            return Ask(operation_url(self._url, "PKIOperation"), data)
        return Ask(operation_url(self._url, "PKIOperation", base64.b64encode(data).decode()))

    # the answer

    def _reply(self, body: bytes) -> Step:
        message, signer = read(body)
        if signer not in self._ra and not self._stands_under(signer):
            raise TrustError(f"the answer is signed by {shown(signer.subject)}, which is not under the authority")
        if message.kind is not Kind.REPLY or message.transaction != self._transaction:
            raise ScepError("the answer belongs to another transaction")
        if message.recipient_nonce != self._nonce:
            raise ScepError("the answer is not to this request: its nonce is another")
        match message.status:
            case Status.PENDING:
                return self._pending()
            case Status.FAILURE:
                name, text, fix = FAILURES.get(message.failure, ("unknown", "the authority says no", "ask it why"))
                raise TrustError(f"{text} ({name})", fix=fix)
            case Status.SUCCESS:
                self.state = State.DONE
                return Enrolled(self._chain(cms.unbundle(cms.decrypt(message.content, self._identity.key))))
        raise ScepError("the answer has no status")

    def _pending(self) -> Wait:
        self._polls += 1
        if self._polls > MOST_POLLS:
            raise TrustError(
                f"the authority has not decided after {MOST_POLLS} polls", fix="approve it, and enrol again"
            )
        self.state = State.PENDING
        return Wait(POLL_INTERVAL)

    def _chain(self, found: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
        """Ours has our key and stands under the authority."""
        for certificate in found:
            if certificate.public_key() == self._key.public_key():
                try:
                    self._anchors.chain([certificate, *(one for one in found if one != certificate)], self._now)
                except ChainError as error:
                    raise TrustError(f"the certificate that came is not the authority's: {error}") from None
                return (certificate, *(one for one in found if one != certificate))
        raise ScepError("no certificate in the answer has our key")


def _good(status: int, body: bytes) -> bytes:
    if status != 200 or not body:
        fix = "is NDES running, and the URL its own? 500 and 503 come from its application pool"
        raise TrustError(f"the authority answered HTTP {status}, {len(body)} octets", fix=fix)
    return body


def _may(certificate: x509.Certificate, usage: str) -> bool:
    try:
        return bool(getattr(certificate.extensions.get_extension_for_class(x509.KeyUsage).value, usage))
    except (x509.ExtensionNotFound, ValueError):
        return True


def _of_the_moment(request: x509.CertificateSigningRequest, key: rsa.RSAPrivateKey, now: datetime) -> Identity:
    """A self-signed certificate of the request's name and key (RFC 8894 2.3)."""
    builder = x509.CertificateBuilder(
        request.subject,
        request.subject,
        key.public_key(),
        x509.random_serial_number(),
        now.astimezone(UTC) - timedelta(hours=1),
        now.astimezone(UTC) + SELF_SIGNED,
    )
    return Identity(builder.sign(key, hashes.SHA256()), key)
