"""Everything around the proxy, built up and taken down: certificates, wires with their captures, cluster, phones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cubelab import data
from cubelab.capture.pcap import PcapWriter
from cubelab.cluster.cluster import Cluster, ClusterSettings, Ports
from cubelab.cluster.devices import Device
from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.demo.boot import STRING, damage, foreign_list
from cubelab.demo.network import Network, free_network
from cubelab.demo.options import Access, DemoOptions, Fault
from cubelab.demo.proxy import ProxyProcess
from cubelab.phone.boot import BootSettings
from cubelab.phone.download import Downloader, untouched
from cubelab.phone.flash import CTL, Flash
from cubelab.phone.phone import VirtualPhone
from cubelab.phone.powered import PoweredPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.pki.lab import Identity, Lab, init_lab
from cubelab.provisioning.models import MODELS
from cubelab.voice.pacer import Pacer
from cubelab.voice.voice import VoiceFault
from cubelab.wire.wire import Wire

NUMBERS = ("1001", "1002")
DEVICES = ("SEP001122334455", "SEP001122334466")
TFTP_PORT = 6969  # 69 takes root
PASSWORDS = {"1001": "lab-1001", "1002": "lab-1002"}


class Stage:
    """`scratch` is a short path of our own: keys and the control socket live there, and go with it."""

    def __init__(self, options: DemoOptions, scratch: Path) -> None:
        self.options = options
        self.network: Network = free_network()
        self.pki: Lab = init_lab(
            scratch / "nvram",
            devices=DEVICES,
            nodes=dict(zip(("pub", "sub"), ((node,) for node in self.network.nodes), strict=True)),
            cube=(self.network.access, self.network.core),
        )
        self.proxy = ProxyProcess(
            options.config or data.config("sample-a-xe.ios"),
            self.pki.nvram,
            self.network.mapping,
            scratch / "control.sock",
            options.out / "proxy.log",
        )
        self.proxy.arguments += ["--tftp-port", str(TFTP_PORT), "--cluster-tftp-port", str(TFTP_PORT)]
        self.pacer = Pacer()
        self.captures = {side: PcapWriter(options.out / f"{side}.pcap") for side in ("access", "core")}
        self.access_wire = self._wire(self.network.access_wire, "access")
        self.core_wire = self._wire(self.network.core_wire, "core")
        self.cucm = VirtualCucm(
            CucmSettings(nodes=self.network.nodes, users=dict(PASSWORDS), wire=self.core_wire), self.pacer
        )
        self.cluster = Cluster(self._cluster())
        self.flash = Flash(scratch / "flash", self.pki.mics[DEVICES[0]])
        self.booting = self._booting()
        self.phones = [VirtualPhone(self._phone(index), self.pacer) for index in (0, 1)]

    def _wire(self, host: str, side: str) -> Wire:
        wire = Wire(host)
        wire.taps.append(self.captures[side].write)
        return wire

    def _cluster(self) -> ClusterSettings:
        """What the cluster serves to booting phones. It is not in mixed mode: the proxy makes phones secure."""
        foreign = {"pub": self.pki.bad["self-signed"]} if self.options.fault is Fault.FOREIGN_CAPF else {}
        devices = [Device(device, number, PASSWORDS[number]) for device, number in zip(DEVICES, NUMBERS, strict=True)]
        nodes = dict(zip(("pub", "sub"), self.network.nodes, strict=True))
        return ClusterSettings(nodes, self.pki, tuple(devices), ports=Ports(tftp=TFTP_PORT), capf=foreign)

    def _booting(self) -> PoweredPhone:
        """Phone 1 as it comes out of the box; `furnish` is what no configuration says."""
        if self.options.fault is Fault.FOREIGN_CTL:
            self.flash.store_list(CTL, foreign_list(self.flash.read(self.pki.bad["self-signed"])))
        model, host = MODELS["8841"], self.network.phone(1)
        on_the_way = damage if self.options.fault is Fault.DAMAGED_CONFIG else untouched
        downloader = Downloader(model, host, self.network.access, tftp_port=TFTP_PORT, on_the_way=on_the_way)
        return PoweredPhone(BootSettings(DEVICES[0], model, STRING), self.flash, downloader, self.pacer, self._furnish)

    def _furnish(self, settings: PhoneSettings) -> PhoneSettings:
        settings = replace(settings, says=self.options.tones[0], fault=self._fault(0), wire=self.access_wire)
        if self.options.fault is Fault.WRONG_CERTIFICATE:
            wrong = self._identity(0)
            settings = replace(settings, certificate=wrong.certificate, key=wrong.key)
        return settings

    def adopt_booted(self) -> None:
        """From now on phone 1 is the one that has booted."""
        self.phones[0] = self.booting.make()

    def _phone(self, index: int) -> PhoneSettings:
        identity = self._identity(index)
        return PhoneSettings(
            number=NUMBERS[index],
            password=PASSWORDS[NUMBERS[index]],
            device=DEVICES[index],
            host=self.network.phone(index + 1),
            proxy=(self.network.access, 5061),
            certificate=identity.certificate,
            key=identity.key,
            trust=(self.pki.cube,),
            says=self.options.tones[index],
            fault=self._fault(index),
            wire=self.access_wire,
        )

    def _identity(self, index: int) -> Identity:
        if index == 0 and self.options.fault is Fault.WRONG_CERTIFICATE:
            return self.pki.bad["unknown-capf"]
        return self.pki.phones[DEVICES[index]]

    def _fault(self, index: int) -> VoiceFault:
        if self.options.access is Access.CLEAR:
            return VoiceFault.CLEAR
        if index == 0 and self.options.fault is Fault.WRONG_KEY:
            return VoiceFault.WRONG_KEY
        return VoiceFault.NONE

    async def raise_curtain(self) -> None:
        """Start the cluster, unless it is to be dead."""
        if self.options.fault is not Fault.DEAD_CORE:
            await self.cucm.start()
            await self.cluster.start()

    async def start_phones(self) -> None:
        for phone in self.phones:
            await phone.start()

    async def strike(self) -> None:
        """Close whatever is still open. The captures are whole after this."""
        for phone in self.phones:
            if hasattr(phone, "agent"):
                await phone.close()
        await self.booting.power_off()
        if hasattr(self.cucm, "agent"):
            await self.cucm.close()
        await self.cluster.close()
        self.access_wire.close()
        self.core_wire.close()
        for capture in self.captures.values():
            capture.close()
