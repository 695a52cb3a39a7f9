"""From what the cluster has to what a phone gets: verified, rewritten, and signed again.

A cluster in mixed mode is one whose certificates are known (`record-entry cucm-tftp`): there everything is fetched as
`.sgn`, and what does not verify is refused. From any other cluster files come unauthenticated, which is said once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509

from cubeproxy.phoneproxy.ctl import TrustFiles
from cubeproxy.phoneproxy.names import Kind, Wanted
from cubeproxy.phoneproxy.rewrite import rewrite
from cubeproxy.phoneproxy.view import AccessView
from cubeproxy.phoneproxy.xmltext import XmlRefused
from cubeproxy.protocols.errors import CubeError
from cubeproxy.protocols.trustlist import Digest, Signer, TrustListError, sign_file, validate_signed_by
from cubeproxy.protocols.values import Event, Severity

CONFIGS = (Kind.DEVICE_CONFIG, Kind.DEFAULT_CONFIG)


class FileRefused(CubeError):
    """A file that is not served. `event` tells the operator why; the phone hears that there is no such file."""

    def __init__(self, event: Event) -> None:
        super().__init__(event.text)
        self.event = event


@dataclass(slots=True)
class Prepared:
    content: bytes = field(repr=False)
    events: list[Event] = field(default_factory=list)


class Preparer:
    """One phone proxy's files. `cluster` are the certificates that sign the cluster's files, () for none known."""

    def __init__(
        self,
        view: AccessView,
        signer: Signer,
        trust: TrustFiles,
        cluster: Sequence[x509.Certificate] = (),
        digest: Digest = Digest.SHA1,
    ) -> None:
        self.view = view
        self.signer = signer
        self.trust = trust
        self.cluster = tuple(cluster)
        self.digest = digest
        self._told = False

    def own(self, wanted: Wanted) -> bytes | None:
        """What is served without asking the cluster. FileRefused for what nobody could turn."""
        match wanted.kind:
            case Kind.CTL:
                return self.trust.ctl
            case Kind.ITL:
                return self.trust.itl
            case Kind.ENCRYPTED_CONFIG:
                raise FileRefused(
                    _refusal(wanted, "encrypted", "the cluster encrypts this phone's configuration", _NO_ENCRYPTION)
                )
        return None

    def upstream_name(self, wanted: Wanted) -> str:
        """The name to ask the cluster for."""
        if self.cluster and wanted.kind is not Kind.FIRMWARE:
            return wanted.plain_name + ".sgn"
        return wanted.plain_name

    def prepare(self, wanted: Wanted, upstream: bytes, now: int) -> Prepared:
        """The file as the phone gets it. `upstream` is what the cluster has under `upstream_name`; `now` is in
        seconds since 1970. FileRefused."""
        prepared = Prepared(self._verify(wanted, upstream))
        if not self.cluster and not self._told:
            self._told = True
            prepared.events.append(_unauthenticated(wanted))
        if wanted.kind in CONFIGS:
            self._turn(wanted, prepared)
        if wanted.signed:
            prepared.content = sign_file(prepared.content, wanted.name, self.signer, now, self.digest)
        return prepared

    def _verify(self, wanted: Wanted, upstream: bytes) -> bytes:
        if not self.cluster or wanted.kind is Kind.FIRMWARE:
            return upstream
        try:
            return validate_signed_by(upstream, self.cluster, self.upstream_name(wanted)).payload
        except TrustListError as error:
            fix = "import CallManager.pem of each node, and list it: record-entry cucm-tftp trustpoint NAME"
            raise FileRefused(_refusal(wanted, error.rule.value, str(error), fix)) from None

    def _turn(self, wanted: Wanted, prepared: Prepared) -> None:
        try:
            found = rewrite(prepared.content, self.view)
        except XmlRefused as error:
            fix = _NO_ENCRYPTION if error.cause == "encrypted" else ""
            raise FileRefused(_refusal(wanted, error.cause, str(error), fix)) from None
        prepared.content = found.data
        changes = [f"{change.path}: {change.old or '-'} -> {change.new or '-'}" for change in found.changes]
        prepared.events.append(
            Event(
                "config.rewritten",
                Severity.INFO,
                f"{wanted.plain_name}: {len(changes)} elements turned towards the access side",
                device=wanted.device,
                fields={"file": wanted.name, "changes": changes, "kept": list(found.kept)},
            )
        )


_NO_ENCRYPTION = "switch off TFTP Encrypted Config in the phone's security profile on CUCM"


def _refusal(wanted: Wanted, cause: str, text: str, fix: str) -> Event:
    return Event(
        "file.refused",
        Severity.WARNING,
        f"{wanted.name} is not served: {text}",
        device=wanted.device,
        cause=cause,
        fix=fix,
        fields={"file": wanted.name},
    )


def _unauthenticated(wanted: Wanted) -> Event:
    return Event(
        "config.upstream-unauthenticated",
        Severity.WARNING,
        "the cluster's files come unsigned: whoever is between could change them before we sign",
        device=wanted.device,
        fix="in mixed mode, list the cluster's CallManager certificates: record-entry cucm-tftp trustpoint NAME",
    )
