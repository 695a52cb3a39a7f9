"""Why a TLS handshake ended, in the operator's words: OpenSSL's reasons as a table, and the event made from one.

Every refusal is one `Event` named "tls.refused". `cause` is stable; subject, issuer and trustpoint stand in `fields`
when the peer showed a certificate at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from OpenSSL import SSL

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import Event, Severity

#  part of OpenSSL's reason, cause, what it means, what to do
REASONS: tuple[tuple[str, str, str, str], ...] = (
    ("peer did not return a cert", "no-certificate", "the peer showed no certificate",
     "install an LSC (CAPF) or use the MIC on the phone; this side always demands a client certificate"),
    ("unsupported protocol", "version", "the peer offers only TLS versions that are switched off here",
     "raise the peer to TLS 1.2, or use the legacy TLS profile for old phones in a lab"),
    ("alert protocol version", "version", "the peer refuses our TLS versions",
     "allow the peer's TLS version here (the legacy TLS profile has TLS 1.0), or raise the peer"),
    ("version too low", "version", "the peer offers only TLS versions that are switched off here",
     "raise the peer to TLS 1.2, or use the legacy TLS profile for old phones in a lab"),
    ("wrong version number", "not-tls", "what the peer sent is not TLS",
     "check the port and the transport (sip: in clear text on a TLS port?)"),
    ("http request", "not-tls", "the peer speaks HTTP", "check the port"),
    ("packet length too long", "not-tls", "what the peer sent is not TLS", "check the port and the transport"),
    ("no shared cipher", "cipher", "no cipher suite in common",
     "compare the peer's cipher suites with ours; very old phones need the legacy TLS profile"),
    ("no suitable signature algorithm", "cipher", "no signature algorithm in common",
     "the peer's or our key is too weak for this profile; the legacy TLS profile accepts SHA-1 and 1024 bits"),
    ("alert unknown ca", "peer-refused", "the peer does not trust our certificate",
     "put our certificate, or its CA, into the peer's trust list (a phone's CTL file, CUCM's trust store)"),
    ("alert bad certificate", "peer-refused", "the peer refuses our certificate",
     "put our certificate, or its CA, into the peer's trust list (a phone's CTL file, CUCM's trust store)"),
    ("alert certificate unknown", "peer-refused", "the peer refuses our certificate",
     "put our certificate, or its CA, into the peer's trust list (a phone's CTL file, CUCM's trust store)"),
    ("alert unsupported certificate", "peer-refused", "the peer cannot use our certificate",
     "check key type, key usage and extended key usage of our certificate"),
    ("alert certificate expired", "peer-refused", "the peer says that our certificate has expired",
     "renew our certificate, or set the peer's clock"),
    ("alert certificate revoked", "peer-refused", "the peer says that our certificate is revoked",
     "renew our certificate"),
    ("alert certificate required", "peer-refused", "the peer demands a certificate from us",
     "configure a trustpoint with a key for this direction (crypto signaling)"),
    ("alert handshake failure", "peer-refused", "the peer ended the handshake without saying why",
     "compare TLS versions, cipher suites and certificates of both sides"),
    ("excessive message size", "oversized", "the peer's certificate chain is too large", "send a shorter chain"),
)  # fmt: skip

#  X509_V_ERR_*: refused here whatever the trust store says, since the library or the profile forbids it
HARD_ERRORS: dict[int, tuple[str, str]] = {
    7: ("a signature in the certificate chain does not verify", "issue the certificate again"),
    22: ("the certificate chain is too long", "send a shorter chain"),
    26: ("the certificate may not be used for this purpose",
         "issue it with the extended key usage that this side of TLS needs (clientAuth for a phone)"),
    66: ("the peer's key is too short for this TLS profile",
         "issue a certificate with 2048 bits or more, or use the legacy TLS profile"),
    67: ("a CA key in the chain is too short for this TLS profile",
         "use a CA with 2048 bits or more, or the legacy TLS profile"),
    68: ("the certificate is signed with a hash that this TLS profile refuses (MD5, SHA-1)",
         "issue it with SHA-256, or use the legacy TLS profile"),
}  # fmt: skip


@dataclass(slots=True)
class HandshakeRefused(Exception):
    """The handshake is over. `theirs` says that the peer's address should pay for it."""

    event: Event
    theirs: bool = True


def refused(peer: str, cause: str, text: str, fix: str, **fields: object) -> Event:
    """The one shape of a refusal."""
    return Event(
        "tls.refused", Severity.WARNING, f"TLS {peer} refused: {text}", peer=peer, cause=cause, fix=fix, fields=fields
    )


def stranger(local: str, source: str) -> Event:
    """Something from a host that a listener does not let in. Sources can be spoofed: one event for all of them."""
    return Event(
        "sip.untrusted",
        Severity.WARNING,
        f"discarded on {local}: not from a core peer",
        cause="untrusted",
        fix="add the source to `ip address trusted list`, or to a dial peer's session target, if it is one of yours",
        fields={"source": source},
    )


def certificate_refused(peer: str, error: TrustError) -> Event:
    """A certificate that `judge`, or the TLS profile, did not accept."""
    return refused(
        peer,
        "certificate",
        f"certificate {error.subject or '(no subject)'} issued by {error.issuer or '(unknown)'}: {error}",
        error.fix,
        subject=error.subject,
        issuer=error.issuer,
        trustpoint=error.trustpoint,
        reason=str(error),
    )


def handshake_failed(peer: str, error: SSL.Error) -> Event:
    """Anything else that OpenSSL says."""
    reason = reason_of(error)
    for part, cause, text, fix in REASONS:
        if part in reason:
            return refused(peer, cause, text, fix, reason=reason)
    return refused(
        peer, "handshake", f"the handshake failed ({reason})", "compare TLS settings of both sides", reason=reason
    )


def reason_of(error: SSL.Error) -> str:
    """OpenSSL's own words, of the first entry in its error queue."""
    entries = error.args[0] if error.args else ()
    if isinstance(entries, (list, tuple)):
        for entry in entries:
            if isinstance(entry, tuple) and entry and entry[-1]:
                return str(entry[-1])
    return str(entries) or "unknown reason"
