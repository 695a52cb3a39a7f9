"""Trust anchors: the authorities of the trustpoints, and the chain that leads to one of them.

OpenSSL builds the chain, with PARTIAL_CHAIN: a trustpoint may hold an issuing CA alone (Cisco Manufacturing CA
without its root) or a self-signed server certificate (CallManager.pem), as routers have them. The trustpoint
that vouches is the one nearest to the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import crypto
from OpenSSL._util import lib

from cubeproxy.pki.names import fingerprint

DEPTH = 8  # certificates of a peer's chain that are looked at


class Refusal(Enum):
    """Why OpenSSL found no way to an anchor. Values are X509_V_ERR codes (x509_vfy.h)."""

    UNKNOWN_ISSUER = (2, 18, 19, 20, 21, 27)
    BAD_SIGNATURE = (4, 6, 7)
    NOT_YET_VALID = (9, 13)
    EXPIRED = (10, 14)
    NOT_AN_AUTHORITY = (24, 25, 32, 79)
    OTHER = (1,)  # unspecified. Not (), which Python 3.11.2 makes an object of its own


REFUSALS = {code: refusal for refusal in Refusal for code in refusal.value}


class ChainError(Exception):
    """No way from the leaf to an anchor."""

    def __init__(self, refusal: Refusal, text: str, certificate: x509.Certificate) -> None:
        super().__init__(text)
        self.refusal = refusal
        self.certificate = certificate  # the one that is wrong


@dataclass(slots=True)
class Revocations:
    """The revoked serial numbers of one issuer."""

    issuer: x509.Certificate
    crl: x509.CertificateRevocationList

    def lists(self, serial: int) -> bool:
        return self.crl.get_revoked_certificate_by_serial_number(serial) is not None

    def stale(self, now: datetime) -> bool:
        following = self.crl.next_update_utc
        return following is not None and following < now


@dataclass
class TrustAnchors:
    """Authorities by trustpoint.

    `unauthenticated` are trustpoints that are configured and have no authority yet; `crl_required` those whose
    `revocation-check` names crl and does not go on to none.
    """

    certificates: Mapping[str, Sequence[x509.Certificate]]
    unauthenticated: Sequence[str] = ()
    crl_required: frozenset[str] = frozenset()
    crls: Sequence[x509.CertificateRevocationList] = ()
    folder: str = "DIR"  # as it stands in the fix of an error
    _trusted: list[crypto.X509] = field(init=False, repr=False)
    _store: tuple[int, crypto.X509Store] | None = field(init=False, repr=False, default=None)
    _owners: dict[str, str] = field(init=False, repr=False)
    _revocations: dict[str, list[Revocations]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._trusted, self._owners, self._revocations = [], {}, {}
        for trustpoint, certificates in self.certificates.items():
            for certificate in certificates:
                self._owners.setdefault(fingerprint(certificate), trustpoint)
                self._trusted.append(crypto.X509.from_cryptography(certificate))
                self._revocations[fingerprint(certificate)] = self._signed_by(certificate)

    def _signed_by(self, issuer: x509.Certificate) -> list[Revocations]:
        """The revocation lists that this authority signed. A list that somebody else signed is none."""
        named = [crl for crl in self.crls if crl.issuer == issuer.subject]
        return [Revocations(issuer, crl) for crl in named if _is_signed(crl, issuer)]

    def restricted(self, names: Iterable[str]) -> TrustAnchors:
        """The same with these trustpoints alone (`client-vtp`)."""
        chosen = set(names)
        return TrustAnchors(
            {name: found for name, found in self.certificates.items() if name in chosen},
            [name for name in self.unauthenticated if name in chosen],
            self.crl_required & chosen,
            self.crls,
            self.folder,
        )

    def chain(self, presented: Sequence[x509.Certificate], now: datetime) -> tuple[list[x509.Certificate], str]:
        """The verified chain, leaf first, up to the anchor that vouches, and its trustpoint. ChainError."""
        try:
            verified = self._verified(presented, self._store_at(now))
        finally:
            clear_errors()
        chain: list[x509.Certificate] = []
        for certificate in verified:
            chain.append(certificate)
            owner = self._owners.get(fingerprint(certificate))
            if owner is not None:
                return chain, owner
        raise ChainError(Refusal.UNKNOWN_ISSUER, "no anchor in the chain", presented[0])

    def _verified(self, presented: Sequence[x509.Certificate], store: crypto.X509Store) -> list[x509.Certificate]:
        try:
            leaf, *others = [crypto.X509.from_cryptography(certificate) for certificate in presented[:DEPTH]]
            verified = crypto.X509StoreContext(store, leaf, others).get_verified_chain()
            return [certificate.to_cryptography() for certificate in verified]
        except crypto.X509StoreContextError as error:
            refusal = REFUSALS.get(error.errors[0], Refusal.OTHER)
            raise ChainError(refusal, str(error.errors[2]), _blamed(error, presented[0])) from None
        except crypto.Error:  # OpenSSL is stricter than the library that loaded it
            raise ChainError(Refusal.OTHER, "OpenSSL cannot read it", presented[0]) from None

    def _store_at(self, now: datetime) -> crypto.X509Store:
        """OpenSSL's store for this second. A store keeps the first time that it was given for ever: never reuse one."""
        second = int(now.timestamp())
        if self._store is None or self._store[0] != second:
            store = crypto.X509Store()
            store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
            for certificate in self._trusted:
                store.add_cert(certificate)
            store.set_time(datetime.fromtimestamp(second, UTC))
            self._store = second, store
        return self._store[1]

    def namesake(self, issuer: x509.Name) -> str:
        """The trustpoint that has an authority of that name, "" when there is none."""
        for trustpoint, certificates in self.certificates.items():
            if any(certificate.subject == issuer for certificate in certificates):
                return trustpoint
        return ""

    def revocations(self, issuer: x509.Certificate) -> list[Revocations]:
        return self._revocations.get(fingerprint(issuer), [])


def clear_errors() -> None:
    """Empty OpenSSL's error queue of this thread.

    A refused chain leaves its errors there, and up to OpenSSL 3 the next read of any TLS connection finds them and
    fails: one peer's bad certificate would close the connection of another. pyOpenSSL has no public name for it.
    """
    lib.ERR_clear_error()


def _blamed(error: crypto.X509StoreContextError, leaf: x509.Certificate) -> x509.Certificate:
    try:
        return error.certificate.to_cryptography()
    except (crypto.Error, ValueError):  # what cannot be verified need not be writable
        return leaf


def _is_signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # other keys: TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False
