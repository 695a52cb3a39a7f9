"""A cluster of two nodes and phones that boot from it directly, on loopback addresses and ports of their own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cubelab.cluster.capf import Pending
from cubelab.cluster.cluster import Cluster, ClusterSettings, Ports
from cubelab.cluster.devices import Device
from cubelab.phone.boot import Boot, Booted, BootFailed, BootSettings
from cubelab.phone.diary import Diary
from cubelab.phone.download import Downloader, untouched
from cubelab.phone.flash import Flash
from cubelab.pki.lab import DEVICES, Lab
from cubelab.provisioning.models import MODELS

NETWORK = f"127.{64 + secrets.randbelow(180)}"  # two runs on one machine do not meet
NODES = {"pub": f"{NETWORK}.1.11", "sub": f"{NETWORK}.1.12"}
PORTS = Ports(tftp=16969, http=16970, capf=13804, tvs=12445)
SIP_PORTS = (15060, 15061)
PHONE, OTHER = DEVICES[0], DEVICES[1]
PASSWORD = "line & <secret>"


class Station:
    """One phone: what it holds, and its boots. `diary` is of the last one."""

    def __init__(self, folder: Path, pki: Lab, index: int, **changes: Any) -> None:
        self.device = DEVICES[index]
        self.flash = Flash(folder / self.device, pki.mics[self.device])
        self.settings = BootSettings(self.device, MODELS[changes.pop("model", "8841")], **changes)
        self.host = f"{NETWORK}.2.{index + 1}"
        self.diary = Diary()
        self.downloader = self.towards(NODES["pub"])

    def towards(
        self,
        server: str,
        *,
        tftp: int = PORTS.tftp,
        http: int = PORTS.http,
        on_the_way: Callable[[str, bytes], bytes] = untouched,
    ) -> Downloader:
        self.downloader = Downloader(
            self.settings.model, self.host, server, tftp_port=tftp, http_port=http, on_the_way=on_the_way
        )
        return self.downloader

    async def boot(self) -> Booted:
        self.diary = Diary()
        self.machine = Boot(self.settings, self.flash, self.downloader, self.diary)
        return await self.machine.run()

    async def fails(self) -> str:
        """Boot, and why there is nothing to register with."""
        try:
            await self.boot()
        except BootFailed as failed:
            return str(failed)
        raise AssertionError("the phone booted")

    def said(self, step: str) -> str:
        return "\n".join(line.text for line in self.diary.of(step))

    def refused(self, step: str) -> bool:
        return any(not line.good for line in self.diary.of(step))


class Plant:
    """`async with Plant(pki, folder) as plant`: the cluster serves."""

    def __init__(self, pki: Lab, folder: Path, **changes: Any) -> None:
        self.pki = pki
        self.folder = folder
        self.log: list[str] = []
        self.stations: list[Station] = []
        devices = changes.pop("devices", None) or tuple(
            Device(name, f"100{place}", PASSWORD) for place, name in enumerate(DEVICES[:2], 1)
        )
        settings = {
            "nodes": NODES, "pki": pki, "devices": devices, "mixed": True, "ports": PORTS, "sip_ports": SIP_PORTS,
            "log": self.log.append,
            "legacy_tls": True,
        }  # fmt: skip
        self.cluster = Cluster(ClusterSettings(**{**settings, **changes}))

    async def __aenter__(self) -> Self:
        await self.cluster.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for station in self.stations:
            station.downloader.close()
        await self.cluster.close()

    def station(self, index: int = 0, **changes: Any) -> Station:
        station = Station(self.folder, self.pki, index, **changes)
        self.stations.append(station)
        return station

    def plan(self, device: str = PHONE, **row: Any) -> Pending:
        """Put an operation on the table, as an administrator does."""
        self.cluster.pending[device] = Pending(**row)
        return self.cluster.pending[device]
