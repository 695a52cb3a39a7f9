"""Everything that a virtual cluster serves to booting phones, on every node: files, CAPF and TVS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cubelab.cluster.capf import Capf, Log, Pending, silent
from cubelab.cluster.capf_service import CapfService
from cubelab.cluster.devices import Device, Surroundings
from cubelab.cluster.keys import ClusterKeys, NodeKeys, read_keys, shared_manager
from cubelab.cluster.library import Library
from cubelab.cluster.lists import REFRESH, ItlKeeper, Refreshed, make_list
from cubelab.cluster.tvs import TvsService
from cubelab.pki.issue import Issued
from cubelab.pki.lab import Identity, Lab
from cubelab.provisioning.http import HttpServer
from cubelab.provisioning.tftp import TftpServer
from cubeproxy.protocols.capf import AuthMode
from cubeproxy.protocols.trustlist import Record, read_list


@dataclass(slots=True, frozen=True)
class Ports:
    """Below 1024 takes root: without it a lab has TFTP elsewhere, and so `cubeproxy run --cluster-tftp-port`."""

    tftp: int = 69
    http: int = 6970
    capf: int = 3804
    tvs: int = 2445


@dataclass(slots=True)
class ClusterSettings:
    """`nodes`: host by name, the publisher first. `multi_server` is one CallManager certificate for all of them."""

    nodes: Mapping[str, str]
    pki: Lab
    devices: tuple[Device, ...] = ()
    mixed: bool = False
    ports: Ports = Ports()
    sip_ports: tuple[int, int] = (5060, 5061)
    multi_server: Issued | None = None
    defect: bool = False  # CSCup28852, see `lists`
    legacy_tls: bool = False  # CAPF and TVS for phones with nothing newer than TLS 1.0
    capf: Mapping[str, Identity] = field(default_factory=dict)  # another CAPF for a node: somebody else's
    log: Log = silent


class Cluster:
    """`start`, then phones can boot; `pending` is the table of CAPF operations, by device name."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self.keys = self._read_keys()
        self.devices = {device.name: device for device in settings.devices}
        self.pending: dict[str, Pending] = {}
        began = int(time.time())
        self._ctl = make_list(self.keys, began, itl=False, mixed=True) if settings.mixed else None
        self.itl = ItlKeeper(self.keys, began, mixed=settings.mixed, defect=settings.defect)
        models = {name: device.model for name, device in self.devices.items()}
        self.capf = {
            name: Capf(node.capf, self.pending, models, self.keys.makers, log=settings.log)
            for name, node in self.keys.nodes.items()
        }
        self.libraries = {name: self._library(node, began) for name, node in self.keys.nodes.items()}
        self.capf_services: dict[str, CapfService] = {}
        self.tvs_services: dict[str, TvsService] = {}
        self.on_reset: Callable[[], None] = lambda: None  # phones are told to reset
        self._tftp: list[TftpServer] = []
        self._http: list[HttpServer] = []

    def _read_keys(self) -> ClusterKeys:
        keys = read_keys(self.settings.pki, self.settings.nodes, self.settings.capf)
        return shared_manager(keys, self.settings.multi_server) if self.settings.multi_server else keys

    def _library(self, node: NodeKeys, stamp: int) -> Library:
        s = self.settings
        ports = s.sip_ports, s.ports.capf, s.ports.tvs
        around = Surroundings(node.host, s.nodes, s.mixed, AuthMode.NONE, stamp, *ports)
        return Library(around, self.devices, self._list, self._mode, node.signer)

    def _list(self, kind: str) -> bytes | None:
        return self._ctl if kind == "CTL" else self.itl.current

    def _mode(self, device: str) -> AuthMode:
        row = self.pending.get(device)
        return AuthMode.NONE if row is None else row.mode

    def vouched(self) -> list[Record]:
        """What TVS says yes to: the records of both lists."""
        lists = [self.itl.current, *([self._ctl] if self._ctl else [])]
        return [record for one in lists for record in read_list(one).records]

    async def start(self) -> None:
        """OSError when an address is taken; what is open already stays until `close`."""
        ports, legacy = self.settings.ports, self.settings.legacy_tls
        for name, node in self.keys.nodes.items():
            tftp, http = TftpServer(self.libraries[name].find), HttpServer(self.libraries[name].find)
            self._tftp.append(tftp)
            self._http.append(http)
            tftp.listen((node.host, ports.tftp))
            await http.listen((node.host, ports.http))
            self.capf_services[name] = CapfService(self.capf[name], node.capf_files, legacy=legacy)
            await self.capf_services[name].listen((node.host, ports.capf))
            self.tvs_services[name] = TvsService(self.vouched(), node.tvs_files, legacy=legacy)
            await self.tvs_services[name].listen((node.host, ports.tvs))

    async def close(self) -> None:
        for tftp in self._tftp:
            tftp.close()
        for http in self._http:
            await http.close()
        for capf in self.capf_services.values():
            await capf.close()
        for tvs in self.tvs_services.values():
            await tvs.close()

    def refresh(self) -> Refreshed:
        """One look at the certificates, as every REFRESH seconds; phones reset when the ITL was made anew."""
        found = self.itl.refresh(int(time.time()))
        self.settings.log(found.why)
        if found.changed:
            for service in self.tvs_services.values():
                service.records = self.vouched()
            self.on_reset()
        return found

    async def watch(self, every: float = REFRESH) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(every)
            self.refresh()
