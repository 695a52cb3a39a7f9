"""The folder of a whole lab: trustpoints of the proxy, identities of phones, certificates of the cluster.

    DIR/<trustpoint>/{ca,cert,key}.pem   what `cubeproxy run --nvram DIR` reads
    DIR/phones/<device>/{cert,key}.pem   LSC; mic-cert.pem and mic-key.pem beside it
    DIR/cucm/<node>/{cert,key}.pem       CallManager; capf-, tvs- and (publisher) recovery-{cert,key}.pem beside it
    DIR/cucm/trust/                      what the cluster trusts: the proxy's certificate, CAPF, the makers
    DIR/bad/<fault>/{cert,key}.pem       certificates that must be refused, see `certs/faults.toml`

RSA keys are what costs time: those of devices beyond the first and of the faults are shared.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cubelab.pki.issue import Issued, Names, PrivateKey, issue, make_key
from cubelab.pki.profiles import Key, Profile, load_profiles

DEVICES = ("SEP001122334455", "SEP001122334466", "SEP001122334477", "SEP001122334488")
DOMAIN = "lab.example"
CAPF = {"pub": "CAPF-1a2b3c4d", "sub": "CAPF-4e5f6071"}
NODES = {"pub": ("198.51.100.11", "127.0.20.11"), "sub": ("198.51.100.12", "127.0.20.12")}
CUBE = ("192.0.2.1", "198.51.100.1", "127.0.10.1", "127.0.20.1")
MODEL = "8841"
FAULTS_BASES = ("other-capf", "forged-capf")  # issuers of faults, no faults by themselves


@dataclass(frozen=True)
class Identity:
    """Where the certificate and the key of somebody are."""

    certificate: Path
    key: Path


@dataclass
class Lab:
    """What `init_lab` has written."""

    folder: Path
    phones: dict[str, Identity] = field(default_factory=dict)  # LSC by device name
    mics: dict[str, Identity] = field(default_factory=dict)
    cucm: dict[str, Identity] = field(default_factory=dict)  # CallManager by node
    capf: dict[str, Identity] = field(default_factory=dict)
    tvs: dict[str, Identity] = field(default_factory=dict)
    recovery: dict[str, Identity] = field(default_factory=dict)  # ITLRecovery, the publisher's alone
    bad: dict[str, Identity] = field(default_factory=dict)  # by fault
    trust: Path = Path()  # folder of the certificates that the cluster trusts
    cube: Path = Path()  # the proxy's own certificate, for those who have to trust it

    @property
    def nvram(self) -> Path:
        return self.folder


def init_lab(
    folder: Path,
    *,
    devices: Sequence[str] = DEVICES,
    nodes: Mapping[str, Sequence[str]] = NODES,
    cube: Sequence[str] = CUBE,
    now: datetime | None = None,
) -> Lab:
    """Make everything anew. `nodes` and `cube` give the addresses that go into the certificates."""
    return _Maker(folder, now or datetime.now(UTC)).run(devices, nodes, cube)


def lab_at(folder: Path) -> Lab:
    """The lab that `init_lab` made there some time ago."""
    lab = Lab(folder, trust=folder / "cucm" / "trust", cube=folder / "CUBE_SS" / "cert.pem")
    for kind, found in (("phones", lab.phones), ("cucm", lab.cucm), ("bad", lab.bad)):
        for path in sorted((folder / kind).glob("*/cert.pem")):
            found[path.parent.name] = Identity(path, path.with_name("key.pem"))
    for pattern, prefix, found in (
        ("phones/*/mic-cert.pem", "mic", lab.mics),
        ("cucm/*/capf-cert.pem", "capf", lab.capf),
        ("cucm/*/tvs-cert.pem", "tvs", lab.tvs),
        ("cucm/*/recovery-cert.pem", "recovery", lab.recovery),
    ):
        for path in sorted(folder.glob(pattern)):
            found[path.parent.name] = Identity(path, path.with_name(f"{prefix}-key.pem"))
    return lab


class _Maker:
    def __init__(self, folder: Path, now: datetime) -> None:
        self.folder, self.now = folder, now.replace(microsecond=0)
        self.profiles = load_profiles()
        self.shared: dict[Key, PrivateKey] = {}

    def run(self, devices: Sequence[str], nodes: Mapping[str, Sequence[str]], cube: Sequence[str]) -> Lab:
        makers = self._makers()
        capfs = self._nodes(nodes)
        own = self._issue("cube", {"host": f"cube.{DOMAIN}", "addresses": cube}, None)
        self._write("CUBE_SS", cert=own.certificate_pem, key=own.key_pem)
        trusted = {**makers, **{f"CAPF_{node.upper()}": capf for node, capf in capfs.items()}, "CUBE_SS": own}
        for name, issued in trusted.items():
            write(self.folder / "cucm" / "trust" / f"{name}.pem", issued.certificate_pem)
        first = next(iter(capfs.values()))
        for index, device in enumerate(devices):
            self._phone(index, device, list(capfs.values()), makers["Cisco_Manufacturing_CA"])
        self._faults(devices[0] if devices else DEVICES[0], first, makers["Cisco_Manufacturing_CA"])
        return lab_at(self.folder)

    def _makers(self) -> dict[str, Issued]:
        """The phone makers' authorities, as the trustpoints of the samples call them."""
        root = self._issue("mic-root", {}, None, share=True)
        makers = {
            "Cisco_Manufacturing_CA": self._issue("manufacturing-ca", {}, root),
            "CAP-RTP-001": self._issue("cap-rtp-001", {}, None, share=True),
            "CAP-RTP-002": self._issue("cap-rtp-002", {}, None, share=True),
        }
        for name, issued in makers.items():
            self._write(name, ca=issued.certificate_pem)
        return makers

    def _nodes(self, nodes: Mapping[str, Sequence[str]]) -> dict[str, Issued]:
        capfs: dict[str, Issued] = {}
        for node, addresses in nodes.items():
            capf = capfs[node] = self._issue("capf", {"capf": CAPF.get(node, f"CAPF-{node}")}, None)
            names: dict[str, str | Sequence[str]] = {"host": f"cucm-{node}.{DOMAIN}", "addresses": addresses}
            manager = self._issue("callmanager", names, None)
            tvs = self._issue("tvs", names, None)
            self._write(f"CAPF_{node.upper()}", ca=capf.certificate_pem)
            self._write(f"CCM_{node.upper()}", ca=manager.certificate_pem)
            self._write(f"cucm/{node}", cert=manager.certificate_pem, key=manager.key_pem)
            self._write(f"cucm/{node}", "capf-", cert=capf.certificate_pem, key=capf.key_pem)
            self._write(f"cucm/{node}", "tvs-", cert=tvs.certificate_pem, key=tvs.key_pem)
            if len(capfs) == 1:
                recovery = self._issue("itl-recovery", names, None)
                self._write(f"cucm/{node}", "recovery-", cert=recovery.certificate_pem, key=recovery.key_pem)
        return capfs

    def _phone(self, index: int, device: str, capfs: Sequence[Issued], maker: Issued) -> None:
        """The nodes take turns to issue; every second phone has its bare name in the LSC."""
        names = self._names(device)
        profile = "lsc-plain" if index % 2 else "lsc"
        lsc = self._issue(profile, names, capfs[index % len(capfs)], share=index > 1)
        mic = self._issue("mic", names, maker, share=True)
        self._write(f"phones/{device}", cert=lsc.certificate_pem, key=lsc.key_pem)
        self._write(f"phones/{device}", "mic-", cert=mic.certificate_pem, key=mic.key_pem)

    def _faults(self, device: str, capf: Issued, maker: Issued) -> None:
        names = {**self._names(device), "capf": CAPF["pub"]}
        issuers: dict[str, Issued | None] = {"self": None, "capf": capf, "manufacturing-ca": maker}
        issuers["other-capf"] = self._issue("other-capf", {"capf": "CAPF-0badcafe"}, None, share=True)
        issuers["forged-capf"] = self._issue("forged-capf", {"capf": capf_name(capf)}, None, share=True)
        issuers["phone"] = self._issue("lsc", self._names("SEP0011223344FF"), capf, share=True)
        for profile in self._fault_profiles():
            issued = self._issue(profile.name, names, issuers[profile.issuer], share=True)
            self._write(f"bad/{profile.name}", cert=issued.certificate_pem, key=issued.key_pem)

    def _fault_profiles(self) -> list[Profile]:
        return [p for p in self.profiles.values() if p.file == "faults" and p.name not in FAULTS_BASES]

    def _issue(self, profile: str, names: Names, issuer: Issued | None, *, share: bool = False) -> Issued:
        chosen = self.profiles[profile]
        key = None
        if share:
            key = self.shared.get(chosen.key) or self.shared.setdefault(chosen.key, make_key(chosen.key))
        return issue(chosen, names, issuer, self.now, key)

    def _names(self, device: str) -> dict[str, str]:
        return {"device": device, "model": MODEL, "serial": device[-8:]}

    def _write(self, name: str, prefix: str = "", **files: bytes) -> None:
        for kind, pem in files.items():
            write(self.folder / name / f"{prefix}{kind}.pem", pem, secret=kind == "key")


def capf_name(capf: Issued) -> str:
    """The CN of a CAPF certificate."""
    return capf.certificate.subject.rfc4514_string().split("CN=")[1].split(",")[0]


def write(path: Path, pem: bytes, *, secret: bool = False) -> None:
    """Write a file, a key readable by its owner alone from the first moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
