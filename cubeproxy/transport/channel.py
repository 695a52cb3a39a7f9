"""One TLS connection over memory BIOs: ciphertext in, plaintext out, no socket. Sans-IO but for OpenSSL itself.

Rules of this file: a certificate is judged inside the handshake where OpenSSL calls us, and after it where it does
not (a resumed session), and in either case before one octet of plaintext is read; and what the peer can repeat
without end after the handshake (key updates, refused renegotiations) draws on a bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography import x509
from OpenSSL import SSL, crypto

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import DeviceIdentity, Event
from cubeproxy.transport.limits import Bucket, Limits
from cubeproxy.transport.refusals import (
    HARD_ERRORS,
    HandshakeRefused,
    certificate_refused,
    handshake_failed,
    reason_of,
    refused,
)
from cubeproxy.transport.verify import ACCEPTED, ALERTS, REJECTED

if TYPE_CHECKING:
    from cubeproxy.transport.tls import TlsSettings

READ = 16_384  # a whole TLS record (RFC 8446 5.1)
REPEATABLE = SSL.SSL_CB_EXIT | SSL.SSL_CB_ALERT  # what OpenSSL calls once for each thing that the peer made it do
NO_CERTIFICATE_FIX = "this side always demands a certificate: install one on the peer"


class ChannelBroken(Exception):
    """The established channel cannot go on; the text is the cause.

    `event` is there when the peer ended it by an alert: in TLS 1.3 a server refuses our certificate only after our
    handshake is over (RFC 8446 4.4.2.4).
    """

    def __init__(self, cause: str, event: Event | None = None) -> None:
        super().__init__(cause)
        self.event = event


class TlsChannel:
    """A server's or client's end. `receive` raises `HandshakeRefused` before, `ChannelBroken` after the handshake."""

    __slots__ = (
        "_chain",
        "_connection",
        "_handshake_octets",
        "_judged",
        "_limits",
        "_now",
        "_post",
        "_server",
        "_stirred",
        "_trust_error",
        "established",
        "identity",
        "peer",
        "peer_closed",
        "resumed",
        "settings",
    )

    def __init__(
        self,
        settings: TlsSettings,
        context: SSL.Context,
        limits: Limits,
        *,
        server: bool,
        peer: str,
        clock: Callable[[], float],
        session: SSL.Session | None = None,
    ) -> None:
        self.settings = settings
        self.peer = peer
        self.established = False
        self.peer_closed = False
        self.resumed = False
        self.identity: DeviceIdentity | None = None
        self._server = server
        self._limits = limits
        self._now = clock
        self._chain: dict[int, crypto.X509] = {}  # by depth, while OpenSSL walks it
        self._judged = False
        self._trust_error: TrustError | None = None
        self._handshake_octets = 0
        self._post: Bucket | None = None
        self._stirred = False  # OpenSSL did something besides reading data: there may be output
        connection = self._connection = SSL.Connection(context)
        connection.set_app_data(self)
        if server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
            if session is not None:
                connection.set_session(session)
            name = settings.server_name
            if name:
                connection.set_tlsext_host_name(name.encode("idna"))

    def start(self) -> bytes:
        """A client's first flight."""
        self._shake()
        return self.outgoing()

    def receive(self, data: bytes) -> bytes:
        """Ciphertext in; the plaintext that it gives, b"" while shaking hands."""
        connection = self._connection
        connection.bio_write(data)
        if not self.established:
            self._handshake_octets += len(data)
            if self._handshake_octets > self._limits.handshake_octets:
                raise HandshakeRefused(
                    refused(self.peer, "oversized", "the handshake is too large", "send a shorter certificate chain")
                )
            self._shake()
            if not self.established:
                return b""
        try:
            plain = connection.recv(READ)
        except SSL.WantReadError:
            return b""
        except SSL.Error as error:
            return self._broken(error, b"")
        parts = [plain]
        try:
            while True:
                parts.append(connection.recv(READ))
        except SSL.WantReadError:
            return plain if len(parts) == 1 else b"".join(parts)
        except SSL.Error as error:
            return self._broken(error, b"".join(parts))

    def send(self, data: bytes) -> bytes:
        """Plaintext in, ciphertext out."""
        try:
            self._connection.sendall(data)
        except SSL.Error as error:
            raise ChannelBroken(f"tls: {reason_of(error)}") from error
        return self.outgoing()

    @property
    def stirred(self) -> bool:
        """True when `outgoing` may have something although nothing was sent; reading it takes the mark away."""
        return self._stirred

    def outgoing(self) -> bytes:
        """Ciphertext that waits to be sent."""
        self._stirred = False
        parts: list[bytes] = []
        try:
            while True:
                part = self._connection.bio_read(65_536)
                parts.append(part)
                if len(part) < 65_536:
                    break
        except SSL.Error:  # WantReadError: nothing more
            pass
        return b"".join(parts)

    def close(self) -> bytes:
        """Our close_notify."""
        if self.established:
            try:
                self._connection.shutdown()
            except SSL.Error:
                return b""
        return self.outgoing()

    def session(self) -> SSL.Session | None:
        """For a client: what a later connection may resume (TLS 1.3: after the server's ticket came)."""
        return self._connection.get_session()

    def version(self) -> str:
        """As OpenSSL spells it: "TLSv1.3"."""
        return self._connection.get_protocol_version_name()

    def cipher(self) -> str:
        return self._connection.get_cipher_name() or ""

    def judge_again(self) -> None:
        """Ask whether the peer is still trusted (clock, CRL and trustpoints may have changed); raises TrustError."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            self.identity = self.settings.judge([certificate, *self.settings.intermediates(certificate)])

    def dispose(self) -> None:
        """Cut the circle between us and OpenSSL's object, so that memory returns without the collector."""
        self._connection.set_app_data(None)
        self._chain.clear()

    def verify(self, certificate: crypto.X509, error: int, depth: int, good: bool) -> int:
        """OpenSSL's verify callback: collect the chain, judge it when the walk is over (it ends at depth 0).

        Our store is empty, so "unknown issuer" and its like are expected: trust is what `judge` says. The answer is
        0, or the X509_V_ERR_* that the peer's alert is made from.
        """
        self._chain[depth] = certificate
        if not good:
            hard = HARD_ERRORS.get(error)
            if hard is None or (error == 26 and depth):  # purposes of CA certificates are the judge's subject
                return ACCEPTED
            self._trust_error = self._hard_refusal(certificate, *hard)
            return error
        if depth == 0 and not self._judged:
            try:
                chain = [self._chain[level].to_cryptography() for level in sorted(self._chain)]
            except ValueError:  # OpenSSL reads it, cryptography does not
                self._trust_error = self._hard_refusal(certificate, "it cannot be read", "have it issued again")
                return REJECTED
            finally:
                self._chain.clear()
            self._judge(chain)
            return ALERTS[self._trust_error.alert] if self._trust_error is not None else ACCEPTED
        return ACCEPTED

    def notice(self, where: int) -> None:
        """OpenSSL's info callback. After the handshake, each message handled and each alert draws on the bucket."""
        self._stirred = True
        if self._post is not None and where & REPEATABLE:
            self._post.take(1, self._now())

    def _shake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            if self._trust_error is not None:
                raise HandshakeRefused(certificate_refused(self.peer, self._trust_error)) from None
            event = handshake_failed(self.peer, error)
            raise HandshakeRefused(event, theirs=event.cause != "peer-refused") from None
        self._judge_session()
        limits = self._limits
        self._post = Bucket(limits.post_handshake_per_second, limits.post_handshake_burst, self._now())
        self.established = True

    def _judge_session(self) -> None:
        """A resumed session: OpenSSL verified nothing, so the certificate inside it is judged as of now."""
        if self._judged:
            return
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            if self.settings.require_peer:
                raise HandshakeRefused(
                    refused(self.peer, "no-certificate", "the peer showed no certificate", NO_CERTIFICATE_FIX)
                )
            return
        self.resumed = True
        self._judge([certificate, *self.settings.intermediates(certificate)])
        if self._trust_error is not None:
            raise HandshakeRefused(certificate_refused(self.peer, self._trust_error))

    def _judge(self, chain: list[x509.Certificate]) -> None:
        """Ask who the peer is: `identity` or `_trust_error` is set."""
        self._judged = True
        try:
            self.identity = self.settings.judge(chain)
        except TrustError as error:
            self._trust_error = error
            error.subject = error.subject or chain[0].subject.rfc4514_string()
            error.issuer = error.issuer or chain[0].issuer.rfc4514_string()
        except Exception as error:  # a judge that crashes trusts nobody
            self._trust_error = TrustError(
                f"the certificate could not be judged ({type(error).__name__})",
                subject=chain[0].subject.rfc4514_string(),
                issuer=chain[0].issuer.rfc4514_string(),
                fix="issue a well-formed certificate; if it is, this is a bug of cubeproxy",
            )
        else:
            if not self.resumed:
                self.settings.remember(chain)

    def _hard_refusal(self, certificate: crypto.X509, text: str, fix: str) -> TrustError:
        try:
            parsed = certificate.to_cryptography()
            subject, issuer = parsed.subject.rfc4514_string(), parsed.issuer.rfc4514_string()
        except ValueError:  # a certificate that OpenSSL reads and cryptography does not
            subject = issuer = "(unreadable)"
        return TrustError(text, subject=subject, issuer=issuer, fix=fix)

    def _broken(self, error: SSL.Error, plain: bytes) -> bytes:
        """The read ended: by the peer's close_notify (what came before it still counts), or by a fault."""
        if isinstance(error, SSL.ZeroReturnError):
            self.peer_closed = True
            return plain
        reason = reason_of(error)
        event = handshake_failed(self.peer, error) if "alert" in reason and not self._server else None
        raise ChannelBroken(f"tls: {reason}", event) from None

    def flooded(self) -> bool:
        """True when the peer has sent more handshake messages after the handshake than the limits allow."""
        return self._post is not None and self._post.level < 0
