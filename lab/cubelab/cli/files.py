"""The part of `cubelab cucm` that booting phones see: files, CAPF and TVS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from cubelab.cluster.capf import Pending
from cubelab.cluster.cluster import Cluster, ClusterSettings, Ports
from cubelab.cluster.devices import Device
from cubelab.pki.issue import Issued, issue
from cubelab.pki.lab import DOMAIN, lab_at
from cubelab.pki.profiles import load_profiles
from cubelab.provisioning.models import MODELS
from cubeproxy.protocols.capf import AuthMode

NAMES = ("pub", "sub")  # as `cubelab pki init` calls the nodes
MODES = {"null": AuthMode.NULL, "lsc": AuthMode.LSC, "mic": AuthMode.MIC}


def read_devices(texts: Mapping[str, str], passwords: Mapping[str, str]) -> tuple[Device, ...]:
    """DEVICE=NUMBER or DEVICE=NUMBER:MODEL."""
    devices = []
    for name, text in texts.items():
        number, _, model = text.partition(":")
        if number not in passwords or (model and model not in MODELS):
            raise typer.BadParameter(f"{name}={text}: NUMBER is one of --user, MODEL one of {', '.join(MODELS)}")
        devices.append(Device(name, number, passwords[number], model or "8841"))
    return tuple(devices)


def read_pending(text: str) -> Pending:
    """`null`, `lsc`, `mic`, or `string:` and the authentication string."""
    if text.startswith("string:") and len(text) > len("string:"):
        return Pending(mode=AuthMode.STRING, string=text.removeprefix("string:"))
    if text not in MODES:
        raise typer.BadParameter(f"{text} is none of null, lsc, mic, string:...")
    return Pending(mode=MODES[text])


def make_cluster(
    hosts: Sequence[str],
    pki: Path,
    devices: tuple[Device, ...],
    *,
    mixed: bool,
    tftp_port: int,
    defect: bool,
    legacy: bool,
) -> Cluster:
    """`defect` gives all nodes one CallManager certificate, and the release CSCup28852."""
    nodes = dict(zip(NAMES, hosts, strict=False))
    settings = ClusterSettings(
        nodes,
        lab_at(pki),
        devices,
        mixed=mixed,
        ports=Ports(tftp=tftp_port),
        multi_server=_multi_server(hosts) if defect else None,
        defect=defect,
        legacy_tls=legacy,
        log=typer.echo,
    )
    return Cluster(settings)


def _multi_server(hosts: Sequence[str]) -> Issued:
    names: dict[str, str | Sequence[str]] = {
        "host": f"cucm-pub-ms.{DOMAIN}",
        "other": f"cucm-sub.{DOMAIN}",
        "addresses": hosts,
    }
    return issue(load_profiles()["callmanager-multi"], names, None, datetime.now(UTC).replace(microsecond=0))
