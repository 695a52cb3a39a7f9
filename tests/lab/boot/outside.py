"""Phones outside: they boot through a real proxy process in front of a virtual cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cubelab import data
from cubelab.cluster.capf import Pending
from cubelab.cluster.cluster import Cluster, ClusterSettings, Ports
from cubelab.cluster.devices import Device
from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.demo.network import free_network
from cubelab.demo.proxy import ProxyProcess
from cubelab.phone.boot import BootSettings
from cubelab.phone.download import Downloader
from cubelab.phone.flash import Flash
from cubelab.phone.powered import PoweredPhone
from cubelab.pki.lab import DEVICES, Lab, init_lab
from cubelab.provisioning.models import MODELS
from cubelab.voice.pacer import Pacer

NUMBERS = {"1001": DEVICES[0], "1002": DEVICES[1]}
TFTP_PORT = 6969
Edit = Callable[[str], str]


def without_certificate(trustpoint: str) -> Edit:
    """The configuration of a router on which a trustpoint was never authenticated."""

    def edit(text: str) -> str:
        block = rf"^crypto pki certificate chain {trustpoint}\n(?: .*\n|  .*\n)*?  \tquit\n"
        found, count = re.subn(block, "", text, flags=re.MULTILINE)
        assert count == 1
        return found

    return edit


def replacing(*changes: tuple[str, str]) -> Edit:
    def edit(text: str) -> str:
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        return text

    return edit


def unchanged(text: str) -> str:
    return text


class Outside:
    """`async with Outside(folder, config=..., edit=...) as lab`: cluster and proxy run, phones are made by `phone`."""

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "sample-a-xe.ios",
        edit: Edit = unchanged,
        mixed: bool = False,
        cluster_pki: Lab | None = None,
        nvram: Callable[[Lab], None] = lambda _pki: None,
        **devices: Any,
    ) -> None:
        self.folder = folder
        self.network = free_network()
        self.names = dict(zip(("pub", "sub"), self.network.nodes, strict=True))
        self.pki = init_lab(
            folder / "nvram",
            devices=tuple(NUMBERS.values()),
            nodes={name: (host,) for name, host in self.names.items()},
            cube=(self.network.access, self.network.core),
        )
        nvram(self.pki)
        self.config = folder / "router.ios"
        self.config.write_text(edit(data.config(config).read_text("utf-8")), "utf-8")
        self.pacer = Pacer()
        served = cluster_pki or self.pki
        self.cluster = Cluster(
            ClusterSettings(
                self.names,
                served,
                tuple(Device(device, number, f"lab-{number}", **devices) for number, device in NUMBERS.items()),
                mixed=mixed,
                ports=Ports(tftp=TFTP_PORT),
                legacy_tls=True,
            )
        )
        identities = {host: self.pki.cucm[name] for name, host in self.names.items()} if mixed else {}
        self.cucm = VirtualCucm(
            CucmSettings(
                nodes=self.network.nodes,
                users={number: f"lab-{number}" for number in NUMBERS},
                identities={host: (one.certificate, one.key) for host, one in identities.items()},
                trust=(self.pki.trust,) if mixed else (),
            ),
            self.pacer,
        )
        self.phones: list[PoweredPhone] = []
        self.log = folder / "proxy.log"
        self.proxy = self.make_proxy()

    def make_proxy(self) -> ProxyProcess:
        proxy = ProxyProcess(self.config, self.pki.nvram, self.network.mapping, self.folder / "c.sock", self.log)
        proxy.arguments += ["--tftp-port", str(TFTP_PORT), "--cluster-tftp-port", str(TFTP_PORT)]
        return proxy

    async def __aenter__(self) -> Self:
        await self.cucm.start()
        await self.cluster.start()
        await self.proxy.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.log.exists():
            print(self.log.read_text())
        for phone in self.phones:
            for line in phone.diary.lines if kind is not None else ():
                print(line)
            await phone.power_off()
        await self.proxy.stop()
        await self.cluster.close()
        await self.cucm.close()

    async def restart_proxy(self) -> None:
        await self.proxy.stop()
        self.proxy = self.make_proxy()
        await self.proxy.start()

    def phone(self, number: str = "1001", *, model: str = "8841", string: str = "") -> PoweredPhone:
        device, kind = NUMBERS[number], MODELS[model]
        flash = Flash(self.folder / f"flash-{device}", self.pki.mics[device])
        host = self.network.phone(len(self.phones) + 1)
        downloader = Downloader(kind, host, self.network.access, tftp_port=TFTP_PORT)
        phone = PoweredPhone(BootSettings(device, kind, string), flash, downloader, self.pacer)
        self.phones.append(phone)
        return phone

    def plan(self, number: str = "1001", **row: Any) -> None:
        self.cluster.pending[NUMBERS[number]] = Pending(**row)

    async def says(self, event: str, *texts: str, patience: float = 10.0) -> str:
        """Wait for an event of the proxy that has all these texts; the whole of it, its fix included."""
        async with asyncio.timeout(patience):
            while True:
                for entry in re.findall(r"^\S+ %\w+ .*(?:\n +.*)*", self.log.read_text(), re.MULTILINE):
                    if f" {event}: " in entry and all(text in entry for text in texts):
                        return str(entry)
                await asyncio.sleep(0.05)


def said(phone: PoweredPhone, step: str) -> str:
    return "\n".join(f"{'' if line.good else 'REFUSED '}{line.text}" for line in phone.diary.of(step))
