"""The CTL over restarts: the list served last, the spare SAST, and who signs the next list.

    NVRAM/ctl/<voice-ctl-file>.tlv          the list that phones may hold
    NVRAM/ctl/<voice-ctl-file>-spare/       certificate and key of the second SAST

A list is signed by whoever signed the last one, as long as its key is here. When the first SAST gets another key, the
spare signs, which phones know from the list they hold: nobody has to delete anything on a phone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cubeproxy.config.model import Config, PhoneProxy
from cubeproxy.phoneproxy.ctl import TrustFiles, build_ctl, plan_ctl
from cubeproxy.pki.enrol import enrol_selfsigned
from cubeproxy.pki.files import write_file
from cubeproxy.pki.store import OwnCertificate, Store
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.trustlist import Role, Signer, TrustList, read_list

FOLDER = "ctl"


@dataclass(frozen=True)
class Served:
    """The lists, and who signs configurations: the key that the list names for files, not always the list's own."""

    trust: TrustFiles
    signer: Signer
    cluster: tuple[x509.Certificate, ...]  # what signs the cluster's files
    verified: bool  # the cluster's files have to be signed


class Keeper:
    """One phone proxy's. Without an nvram folder nothing is kept, and there is no spare."""

    def __init__(self, config: Config, proxy: PhoneProxy, store: Store, nvram: Path | None) -> None:
        self._config = config
        self._proxy = proxy
        self._store = store
        self._folder = nvram / FOLDER if nvram is not None else None
        self._name = _file_name(proxy.ctl_file)
        self._last: bytes | None = None

    def build(self, now: int) -> Served:
        """The lists as they are to be served from now on; kept before they are. TrustError, OSError."""
        spare = self._spare()
        plan = plan_ctl(self._config, self._proxy, self._store, spare.certificate if spare else None)
        previous = self._previous()
        signer = _choose([plan.signer, *([spare] if spare else [])], previous)
        trust = build_ctl(replace(plan, signer=signer), now, previous)
        if trust.ctl != previous:
            self._keep(trust.ctl)
        return Served(trust, plan.signer, *self._cluster())

    def _previous(self) -> bytes | None:
        if self._folder is not None:
            try:
                return (self._folder / f"{self._name}.tlv").read_bytes()
            except FileNotFoundError:
                pass
        return self._last

    def _keep(self, ctl: bytes) -> None:
        self._last = ctl
        if self._folder is not None:
            write_file(self._folder / f"{self._name}.tlv", ctl)

    def _spare(self) -> Signer | None:
        """The second SAST, made when it is needed: where the configuration names one of its own there is none."""
        ctl = self._config.ctl_files.get(self._proxy.ctl_file)
        own = [entry for entry in ctl.record_entries if entry.role == "selfsigned"] if ctl else []
        if self._folder is None or len(own) != 1:
            return None
        name = f"{self._name}-spare"
        spares = Store(self._folder)
        if name not in spares.material:
            enrol_selfsigned(self._folder, name, f"SAST spare {self._proxy.ctl_file}"[:64], datetime.now(UTC))
            spares.reload()
        return _signer(spares.own(name))

    def _cluster(self) -> tuple[tuple[x509.Certificate, ...], bool]:
        """Certificates of `record-entry cucm-tftp`, and whether there are such entries at all."""
        ctl = self._config.ctl_files[self._proxy.ctl_file]
        names = [entry.trustpoint for entry in ctl.record_entries if entry.role == "cucm-tftp"]
        found: list[x509.Certificate] = []
        for name in names:
            try:
                found += self._store.certificates(name)
            except TrustError:  # told by the plan
                continue
        return tuple(found), bool(names)


def _file_name(ctl: str) -> str:
    """A CTL file's name as one of a file; where letters were replaced a digest keeps two apart."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", ctl)
    return plain if plain == ctl else f"{plain}-{hashlib.sha256(ctl.encode()).hexdigest()[:8]}"


def _signer(own: OwnCertificate) -> Signer:
    return Signer(own.chain[0], own.key)  # type: ignore[arg-type]  # Signer refuses what is not RSA


def _choose(candidates: Sequence[Signer], previous: bytes | None) -> Signer:
    """Who signed the last list, else who stands in it as a SAST, else the first."""
    held = _read(previous)
    if held is None:
        return candidates[0]
    sasts = {record.certificate for record in held.with_role(Role.SAST)}
    listed = [one for one in candidates if _der(one) in sasts]
    for one in listed:
        record = held.vouches(_der(one), (Role.SAST,))
        if record is not None and (record.issuer, record.serial) == (held.header.issuer, held.header.serial):
            return one
    return (listed or candidates)[0]


def _read(previous: bytes | None) -> TrustList | None:
    try:
        return read_list(previous) if previous else None
    except RemoteProtocolError:
        return None


def _der(signer: Signer) -> bytes:
    return signer.certificate.public_bytes(Encoding.DER)
