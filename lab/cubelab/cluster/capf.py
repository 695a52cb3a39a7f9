"""CAPF of one node: which operation is pending for whom, who may have it, and the certificate that comes of it.

Sans-IO: `decide` judges an attempt, `issue` makes a certificate, `finished` closes the row of the table. An operation
that was guessed at too often is off the table until the administrator puts it there again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cubelab.cluster.proofs import disproof
from cubelab.pki.issue import Issued, PublicKey, certify, short_name
from cubelab.pki.profiles import load_profiles
from cubeproxy.protocols.capf import (
    Attempt,
    AuthMode,
    Curve,
    Ended,
    KeyRequest,
    Operation,
    Reason,
    authenticated,
)

MOST_FAILURES = 5
CURVES = {Curve.P256: "secp256r1", Curve.P384: "secp384r1", Curve.P521: "secp521r1"}


@dataclass(slots=True)
class Pending:
    """One row: what an administrator wants done with a phone's certificate. `string` is for mode STRING."""

    operation: Operation = Operation.INSTALL
    mode: AuthMode = AuthMode.NULL
    string: str = field(default="", repr=False)
    key: KeyRequest = field(default_factory=KeyRequest)
    failures: int = 0


@dataclass(slots=True, frozen=True)
class Decision:
    """`operation` None is a refusal with `reason` and `text`."""

    operation: Operation | None
    key: KeyRequest | None = None
    reason: int = Reason.OK
    text: str = ""


Log = Callable[[str], None]


def silent(_line: str) -> None:
    """A log that nobody reads."""


class Capf:
    """`pending` is the cluster's table, shared by its nodes; `known` gives the model of every device."""

    def __init__(
        self,
        authority: Issued,
        pending: dict[str, Pending],
        known: Mapping[str, str],
        makers: Sequence[x509.Certificate] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        log: Log = silent,
    ) -> None:
        self.authority = authority
        self.pending = pending
        self.known = known
        self.installed: dict[str, x509.Certificate] = {}
        self.fetched: dict[str, bytes] = {}  # DER by device
        self._makers = tuple(makers)
        self._clock = clock
        self._log = log

    @property
    def name(self) -> str:
        return short_name(self.authority.certificate)

    def decide(self, attempt: Attempt) -> Decision:
        device = attempt.device
        row = self.pending.get(device)
        if device not in self.known:
            decision = Decision(None, reason=Reason.UNKNOWN_DEVICE, text="the cluster knows no such device")
        elif row is None:
            decision = Decision(None, reason=Reason.NO_ACTION, text="nothing is pending")
        elif why := self._mistrust(row, attempt):
            decision = Decision(None, reason=Reason.DECLINED, text=self._count(device, row, why))
        else:
            decision = Decision(row.operation, row.key)
        if decision.operation is None:
            self._log(f"{self.name} refuses {device}: {decision.text}")
        return decision

    def _mistrust(self, row: Pending, attempt: Attempt) -> str:
        """Why an attempt does not satisfy its row, "" when it does."""
        why = "the authentication string is wrong" if row.mode is AuthMode.STRING else "it proves nothing"

        def verify(one: Attempt) -> bool:
            nonlocal why
            why = disproof(one, (self.authority.certificate,), self._makers, self._clock())
            return not why

        return "" if authenticated(row.mode, attempt, row.string, verify) else why

    def _count(self, device: str, row: Pending, why: str) -> str:
        row.failures += 1
        if row.failures < MOST_FAILURES:
            return why
        self.pending.pop(device, None)
        return f"{why}, {row.failures} times: the operation is taken off the table"

    def issue(self, device: str, public_key: bytes, asked: KeyRequest) -> x509.Certificate:
        """The LSC. ValueError when the key is not what was asked for."""
        try:
            key = load_der_public_key(public_key)
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("the public key cannot be read") from None
        if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)) or not _fits(key, asked):
            raise ValueError("the public key is not of the kind that was asked for")
        names = {"device": device, "model": self.known[device], "serial": device[-8:]}
        return certify(load_profiles()["lsc"], names, self.authority, self._clock().replace(microsecond=0), key)

    def finished(self, device: str, ended: Ended) -> None:
        """What the session came to. A phone that went away in the middle may try again."""
        certificate = ended.certificate
        if ended.cause not in {one.value for one in Operation}:
            if ended.cause != "refused":
                self._log(f"{self.name}: {device or 'somebody'} {ended.cause}: {ended.text}")
            return
        self.pending.pop(device, None)
        if ended.cause == Operation.INSTALL.value and certificate is not None:
            self.installed[device] = x509.load_der_x509_certificate(certificate)
        elif ended.cause == Operation.FETCH.value and certificate is not None:
            self.fetched[device] = certificate
        elif ended.cause == Operation.DELETE.value:
            self.installed.pop(device, None)
        self._log(f"{self.name}: certificate of {device} {ended.cause}")


def _fits(key: PublicKey, asked: KeyRequest) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return asked.curve is None and key.key_size == asked.bits
    return asked.curve is not None and key.curve.name == CURVES[asked.curve]
