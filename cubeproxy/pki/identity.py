"""Who a TLS peer is, by its certificate, or why it is refused.

`identify` is called after every handshake, resumed ones included, with today's anchors and clock. Its order:
the chain leads to a trustpoint, nothing in it is too weak, it may be used for TLS, it is not revoked, and then
what it calls itself. Every refusal is a TrustError with the fix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cubeproxy.pki.anchors import ChainError, Refusal, TrustAnchors
from cubeproxy.pki.names import DEVICE_NAME, authority_kind, common_names, device_name, fingerprint, shown
from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import DeviceIdentity

UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion),
    x509.UnsupportedGeneralNameType,
)  # what reading the fields of a certificate may raise, later than loading it

Role = Literal["client", "server"]  # what the peer is in TLS
Judge = Callable[[list[x509.Certificate]], DeviceIdentity]  # leaf first; raises TrustError

RSA_BITS = 2048  # at least, outside the legacy profile
EC_BITS = 224
WEAK_HASHES = ("md5", "sha1")
PURPOSES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
ANY_PURPOSE = x509.ObjectIdentifier("2.5.29.37.0")


def identify(
    chain: Sequence[x509.Certificate],
    anchors: TrustAnchors,
    now: datetime,
    *,
    legacy: bool = False,
    role: Role = "client",
) -> DeviceIdentity:
    """The identity of the peer that presented `chain`, leaf first.

    A certificate that a MIC or CAPF authority issued must name a device: kind "MIC" or "LSC". One of another
    authority is an "LSC" when it names a device (CAPF with a company's own CA behind it), else a "peer" with no
    name: a cluster node, a trunk. A TLS server is always a "peer". `legacy` takes SHA-1 and short keys. `now` is an
    aware datetime.
    """
    if not chain:
        raise TrustError("the peer presented no certificate", fix="configure the peer to present its certificate")
    try:
        return _Judgement(chain, anchors, now, legacy, role).identity()
    except UNREADABLE as error:
        raise TrustError(f"the certificate cannot be read: {error}", fix="have it issued again") from None


def make_judge(
    anchors: Callable[[], TrustAnchors],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    legacy: bool = False,
    role: Role = "client",
) -> Judge:
    """`identify` with everything but the chain filled in. `anchors` is asked each time: trust may be reloaded."""

    def judge(chain: list[x509.Certificate]) -> DeviceIdentity:
        return identify(chain, anchors(), clock(), legacy=legacy, role=role)

    return judge


def farms_only(judge: Judge) -> Judge:
    """No phone is a DSP farm: who registers here is handed the keys of calls."""

    def judge_farm(chain: list[x509.Certificate]) -> DeviceIdentity:
        identity = judge(chain)
        if identity.kind != "peer":
            raise TrustError(
                f"a phone's certificate ({identity.kind}) vouches for no DSP farm",
                subject=identity.subject,
                issuer=identity.issuer,
                trustpoint=identity.trustpoint,
                fix="have the farm present the certificate of its dspfarm profile: `trustpoint NAME`",
            )
        return identity

    return judge_farm


class _Judgement:
    def __init__(
        self, chain: Sequence[x509.Certificate], anchors: TrustAnchors, now: datetime, legacy: bool, role: Role
    ) -> None:
        self.presented, self.leaf = chain, chain[0]
        self.anchors, self.now, self.legacy, self.role = anchors, now, legacy, role
        self.subject, self.issuer = shown(self.leaf.subject), shown(self.leaf.issuer)

    def identity(self) -> DeviceIdentity:
        chain, trustpoint = self._chain()
        self._check_strength(chain, trustpoint)
        self._check_usage(trustpoint)
        self._check_revocation(chain, trustpoint)
        kind = ""
        if self.role == "client":
            kind = authority_kind([*common_names(self.leaf.issuer), *common_names(chain[-1].subject), trustpoint])
        name = device_name(self.leaf) if self.role == "client" else ""
        if kind and not name:
            raise self._nameless(kind, trustpoint)
        return DeviceIdentity(
            name, self.subject, self.issuer, kind or ("LSC" if name else "peer"), trustpoint, fingerprint(self.leaf)
        )

    def refuse(self, text: str, trustpoint: str = "", fix: str = "", alert: str = "rejected") -> TrustError:
        return TrustError(text, subject=self.subject, issuer=self.issuer, trustpoint=trustpoint, fix=fix, alert=alert)

    def _chain(self) -> tuple[list[x509.Certificate], str]:
        try:
            return self.anchors.chain(self.presented, self.now)
        except ChainError as error:
            match error.refusal:
                case Refusal.EXPIRED | Refusal.NOT_YET_VALID:
                    raise self._outside_validity(error.certificate) from None
                case Refusal.UNKNOWN_ISSUER | Refusal.BAD_SIGNATURE:
                    unknown = self._unknown(error)
                    unknown.alert = "unknown-ca"
                    raise unknown from None
                case Refusal.NOT_AN_AUTHORITY:
                    text = f"{shown(error.certificate.subject)} signed it and is no authority"
                    raise self.refuse(text, fix="have the certificate issued by an authority") from None
                case _:
                    raise self.refuse(f"the chain does not hold: {error}", fix="have it issued again") from None

    def _outside_validity(self, certificate: x509.Certificate) -> TrustError:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        whose = "" if certificate == self.leaf else f" of {shown(certificate.subject)}"
        if self.now < start:
            text = f"the certificate{whose} is not valid before {start:%Y-%m-%d %H:%M}"
            return self.refuse(
                f"{text}, and now is {self.now:%Y-%m-%d %H:%M}",
                fix="compare the clocks of this machine and of the authority (NTP)",
            )
        mic = authority_kind(common_names(self.leaf.issuer)) == "MIC" and not whose
        fix = "install an LSC (CAPF): a MIC cannot be renewed" if mic else "renew it: install the LSC again (CAPF)"
        if whose:
            trustpoint = self.anchors.namesake(certificate.subject)
            text = f"the certificate{whose} expired on {end:%Y-%m-%d}"
            return self.refuse(text, trustpoint, self._fix(trustpoint), "expired")
        return self.refuse(f"the certificate expired on {end:%Y-%m-%d}", fix=fix, alert="expired")

    def _unknown(self, error: ChainError) -> TrustError:
        """No trustpoint, or one of the same name with another key."""
        issuer = error.certificate.issuer
        namesake = self.anchors.namesake(issuer)
        if namesake:
            return self.refuse(
                f"trustpoint {namesake} has an authority of that name and another key: "
                "it was made anew, or somebody borrows its name",
                namesake,
                self._fix(namesake),
            )
        if any(DEVICE_NAME.fullmatch(name) for name in common_names(issuer)):
            return self.refuse("a phone's signature vouches for nobody", fix="install an LSC on the phone (CAPF)")
        if self.leaf.issuer == self.leaf.subject:
            text = "it is self-signed, and no trustpoint has it"
            return self.refuse(text, self._missing(issuer), self._fix(self._missing(issuer)))
        missing = self._candidates(issuer)
        text = "no trustpoint vouches for that issuer"
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            text += f"; {', '.join(missing)} {verb} configured but not authenticated"
        return self.refuse(text, self._missing(issuer), self._fix(self._missing(issuer)))

    def _candidates(self, issuer: x509.Name) -> list[str]:
        """Unauthenticated trustpoints that may be meant for that issuer: those of its kind, else all."""
        kind = authority_kind(common_names(issuer))
        alike = [name for name in self.anchors.unauthenticated if kind and authority_kind([name]) == kind]
        return alike or list(self.anchors.unauthenticated)

    def _missing(self, issuer: x509.Name) -> str:
        """The trustpoint that would be needed: configured already, or named after the issuer."""
        found = self._candidates(issuer)
        if found:
            return found[0]
        names = common_names(issuer)
        plain = (
            "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in names[0][:32])
            if names
            else ""
        )
        return plain.strip("_") or "NAME"

    def _fix(self, trustpoint: str) -> str:
        file = trustpoint.lower().replace("_", "-")
        fix = f"cubeproxy pki authenticate {trustpoint} --ca {file}.pem --nvram {self.anchors.folder}"
        known = trustpoint in self.anchors.certificates or trustpoint in self.anchors.unauthenticated
        return fix if known else f"configure `crypto pki trustpoint {trustpoint}`, then {fix}"

    def _check_strength(self, chain: Sequence[x509.Certificate], trustpoint: str) -> None:
        """Signatures up to the anchor (its own is not relied on), and all keys, the anchor's too."""
        if self.legacy:
            return
        fix = "have it issued with SHA-256 and RSA 2048, or use the legacy TLS profile for old phones"
        for certificate in chain[:-1]:
            algorithm = certificate.signature_hash_algorithm
            if algorithm is not None and algorithm.name in WEAK_HASHES:
                who = "it" if certificate == self.leaf else shown(certificate.subject)
                raise self.refuse(
                    f"{who} is signed with {algorithm.name.upper()}, which anybody can forge", trustpoint, fix
                )
        for certificate in chain:
            key = certificate.public_key()
            short = isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS
            if short or (isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < EC_BITS):
                raise self.refuse(
                    f"the key of {shown(certificate.subject)} has {key.key_size} bits only",  # type: ignore[union-attr]
                    trustpoint,
                    fix,
                )

    def _check_usage(self, trustpoint: str) -> None:
        """Extensions that are there must allow TLS (RFC 5280 4.2.1.3, 4.2.1.12); MICs often have none."""
        fix = "have it issued with digitalSignature, keyEncipherment and clientAuth"
        extensions = self.leaf.extensions
        try:
            usage = extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            pass
        else:
            if not (usage.digital_signature or (self.role == "server" and usage.key_encipherment)):
                raise self.refuse("its key usage does not allow digital signatures", trustpoint, fix, "purpose")
        try:
            purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return
        if PURPOSES[self.role] not in purposes and ANY_PURPOSE not in purposes:
            text = f"its extended key usage does not allow {self.role} authentication"
            raise self.refuse(text, trustpoint, fix, "purpose")

    def _check_revocation(self, chain: Sequence[x509.Certificate], trustpoint: str) -> None:
        """Against the revocation lists that are there; an authority without a list revokes nobody."""
        for certificate, issuer in pairwise(chain):
            lists = self.anchors.revocations(issuer)
            if any(revocations.lists(certificate.serial_number) for revocations in lists):
                who = "it" if certificate == self.leaf else shown(certificate.subject)
                raise self.refuse(f"{who} is revoked", trustpoint, "install a new certificate", "revoked")
        if trustpoint in self.anchors.crl_required and len(chain) > 1:
            lists = self.anchors.revocations(chain[-1])
            if not lists or all(revocations.stale(self.now) for revocations in lists):
                raise self.refuse(
                    f"revocation-check of {trustpoint} demands a revocation list and there is no current one",
                    trustpoint,
                    f"put crl.pem into {self.anchors.folder}/{trustpoint}, or `revocation-check crl none`",
                )

    def _nameless(self, kind: str, trustpoint: str) -> TrustError:
        found = common_names(self.leaf.subject)
        if len(found) == 1:
            text = f"its CN is no device name, and a{'n' if kind == 'LSC' else ''} {kind} must have one"
        else:
            text = f"it has {len(found)} CNs, and a device has exactly one name"
        return self.refuse(text, trustpoint, "the CN is SEP and the twelve hexadecimal digits of the MAC address")
