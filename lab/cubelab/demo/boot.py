"""The demo's boot: phone 1 comes out of the box, and everything it trusts is noted with its reason.

It knows the address of its file server, its MIC, and the authentication string that its user types in. The rest it
gets: trust list and configuration from the proxy, its LSC from the cluster's CAPF behind the proxy's relay.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from xml.etree import ElementTree

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.cluster.capf import Pending
from cubelab.cluster.cluster import Cluster
from cubelab.phone.boot import BootFailed
from cubelab.phone.diary import Line
from cubelab.phone.flash import CTL, Flash
from cubelab.phone.powered import PoweredPhone
from cubelab.pki.issue import Issued, issuer_name, short_name
from cubelab.pki.lab import Identity
from cubeproxy.protocols.capf import AuthMode
from cubeproxy.protocols.trustlist import Role, Signer, record_of, sign_list

STRING = "271828"  # what the administrator has set and the user types in
_WATCHED = {  # what a rewriting proxy has to change, and what the cluster's own file says
    "node": "devicePool/callManagerGroup/members/member/callManager/processNodeName",
    "security mode": "deviceSecurityMode",
    "transport": "transportLayerProtocol",
    "CAPF": "capfList/capf/processNodeName",
}


@dataclass(slots=True)
class BootSeen:
    """Facts of one boot; `stopped` says why it went no further. Names of elements are those of `_WATCHED`."""

    lines: list[Line] = field(default_factory=list)
    stopped: str = ""
    roles: tuple[int, ...] = ()  # of the CTL that the phone holds now
    held: str = ""  # SHA-1 of that file
    before: dict[str, str] = field(default_factory=dict)  # elements in the cluster's file
    after: dict[str, str] = field(default_factory=dict)  # in the file that the phone has verified
    capf_peers: tuple[str, ...] = ()  # who came to the cluster's CAPF
    lsc: str = ""  # whose, and by whom
    issued: bool = False  # the cluster has issued this very certificate
    fingerprint: str = ""  # SHA-256 of the LSC

    def last(self, step: str) -> Line | None:
        found = [line for line in self.lines if line.step == step]
        return found[-1] if found else None

    def first(self, step: str) -> Line | None:
        return next((line for line in self.lines if line.step == step), None)


def foreign_list(identity: Issued) -> bytes:
    """A trust list of somebody else's: its signer is none that the proxy could be."""
    signer = Signer(identity.certificate, identity.key)  # type: ignore[arg-type]  # Signer refuses what is not RSA
    return sign_list([record_of(identity.certificate, Role.SAST)], signer, 1_700_000_000)


def damage(name: str, content: bytes) -> bytes:
    """One octet of a configuration changes on its way: `encrypted` becomes `authenticated`."""
    return content.replace(b"<deviceSecurityMode>3", b"<deviceSecurityMode>2") if ".cnf.xml" in name else content


async def watch_boot(phone: PoweredPhone, flash: Flash, cluster: Cluster, device: str, patience: float) -> BootSeen:
    """Boot it, and note what can be known afterwards from both ends."""
    seen = BootSeen(phone.diary.lines)
    cluster.pending[device] = Pending(mode=AuthMode.STRING, string=STRING)
    library = next(iter(cluster.libraries.values()))
    seen.before = elements(library.find(f"{device}.cnf.xml", ("", 0)) or b"")
    try:
        async with asyncio.timeout(patience):
            await phone.boot()
    except BootFailed as failed:
        seen.stopped = str(failed)
    except TimeoutError:
        seen.stopped = f"not booted in {patience:.0f} s"
    held = flash.held(CTL)
    if held is not None:
        seen.roles = tuple(sorted({record.role for record in held.records}))
        seen.held = hashlib.sha1(held.data, usedforsecurity=False).hexdigest()
    seen.after = elements(flash.config or b"")
    seen.capf_peers = tuple(peer for one in cluster.capf_services.values() for peer in one.peers)
    _look_at_lsc(seen, flash, cluster, device)
    return seen


def _look_at_lsc(seen: BootSeen, flash: Flash, cluster: Cluster, device: str) -> None:
    if flash.lsc is None:
        return
    certificate = flash.read(flash.lsc).certificate
    seen.lsc = f"{short_name(certificate)} of {issuer_name(certificate)}"
    seen.issued = any(capf.installed.get(device) == certificate for capf in cluster.capf.values())
    seen.fingerprint = fingerprint(certificate)


def fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def fingerprint_of(identity: Identity) -> str:
    return fingerprint(x509.load_pem_x509_certificate(identity.certificate.read_bytes()))


def elements(configuration: bytes) -> dict[str, str]:
    """The watched elements. A reader of its own: what the proxy has written is not read by the proxy's code."""
    if not configuration:
        return {}
    root = ElementTree.fromstring(configuration)  # noqa: S314 - made in this lab
    return {name: (root.findtext(path) or "").strip() for name, path in _WATCHED.items()}
