"""Everything around the proxy, built up and taken down: wires with their captures, cluster, phones, farm.

The demo has two stages at the same time: IOS with its DSP farm and a phone that boots, and IOS XE with neither.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from cubelab import data
from cubelab.capture.pcap import PcapWriter
from cubelab.cluster.cluster import Cluster, ClusterSettings, Ports
from cubelab.cluster.devices import Device
from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.demo.boot import STRING, damage, foreign_list
from cubelab.demo.farm import SCCP, FarmProcess, farm_config, has_farm, on_the_way
from cubelab.demo.network import Network, free_network
from cubelab.demo.options import Access, DemoOptions, Fault
from cubelab.demo.proxy import ProxyProcess
from cubelab.phone.boot import BootSettings
from cubelab.phone.download import Downloader, untouched
from cubelab.phone.flash import CTL, Flash
from cubelab.phone.phone import VirtualPhone
from cubelab.phone.powered import PoweredPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.pki.lab import Identity, Lab, init_lab, lab_at
from cubelab.provisioning.models import MODELS
from cubelab.voice.pacer import Pacer
from cubelab.voice.voice import VoiceFault
from cubelab.wire.stream_wire import StreamWire
from cubelab.wire.wire import Wire

NUMBERS = ("1001", "1002")
DEVICES = ("SEP001122334455", "SEP001122334466")
TFTP_PORT = 6969  # 69 takes root
PASSWORDS = {"1001": "lab-1001", "1002": "lab-1002"}


@dataclass(slots=True, frozen=True)
class Scene:
    """One run: which configuration, where, with whose certificates. `prefix` marks its files.

    `scratch` is a short path of its own: keys and the control socket live there, and go with it.
    """

    config: Path
    network: Network
    pki: Lab
    scratch: Path
    prefix: str = ""
    fault: Fault = Fault.NONE


def two_scenes(options: DemoOptions, scratch: Path) -> tuple[Scene, Scene]:
    """IOS and IOS XE, with one set of certificates: making those is what takes time."""
    first, second = free_network(), free_network()
    while second == first:
        second = free_network()
    both = (first, second)
    pki = init_lab(
        scratch / "nvram",
        devices=DEVICES,
        nodes={name: [network.nodes[index] for network in both] for index, name in enumerate(("pub", "sub"))},
        cube=[address for network in both for address in (network.access, network.core)],
    )
    copy = scratch / "xe" / "nvram"  # its own: a phone proxy keeps its trust list there
    shutil.copytree(pki.nvram, copy)
    ios = options.config or data.config("sample-a.ios")
    return (
        Scene(ios, first, pki, scratch, fault=options.fault),
        Scene(data.config("sample-a-xe.ios"), second, lab_at(copy), scratch / "xe", prefix="xe-"),
    )


class Stage:
    def __init__(self, options: DemoOptions, scene: Scene) -> None:
        self.options = options
        self.scene = scene
        self.network, self.pki = scene.network, scene.pki
        self.proxy = ProxyProcess(
            scene.config,
            self.pki.nvram,
            self.network.mapping,
            scene.scratch / "control.sock",
            self.file("proxy.log"),
        )
        self.proxy.arguments += ["--tftp-port", str(TFTP_PORT), "--cluster-tftp-port", str(TFTP_PORT)]
        self.pacer = Pacer()
        self.captures = {side: PcapWriter(self.file(f"{side}.pcap")) for side in ("access", "core")}
        self.access_wire = self._wire(self.network.access_wire, "access")
        self.core_wire = self._wire(self.network.core_wire, "core")
        self.cucm = VirtualCucm(
            CucmSettings(nodes=self.network.nodes, users=dict(PASSWORDS), wire=self.core_wire), self.pacer
        )
        self.cluster = Cluster(self._cluster())
        self.flash = Flash(scene.scratch / "flash", self.pki.mics[DEVICES[0]])
        self.booting = self._booting()
        self.phones = [VirtualPhone(self._phone(index), self.pacer) for index in (0, 1)]
        self.farm = self._farm()

    def file(self, name: str) -> Path:
        """Where a file of this run goes that stays."""
        return self.options.out / (self.scene.prefix + name)

    def _farm(self) -> FarmProcess | None:
        """The DSP farm with its wire, where the configuration has one."""
        text = self.scene.config.read_text("utf-8", "replace")
        if not has_farm(text):
            return None
        changed = self.scene.scratch / "farm.ios"
        changed.write_text(farm_config(text, self.network.sccp_wire, self.scene.fault), "utf-8")
        self.sccp_wire = StreamWire((self.network.core, SCCP), self.network.core, on_the_way(self.scene.fault))
        self.sccp_capture = PcapWriter(self.file("sccp.pcap"), secret=True)
        self.sccp_wire.taps.append(self.sccp_capture.write_segment)
        return FarmProcess(changed, self.network.mapping, self.file("farm.log"))

    def _wire(self, host: str, side: str) -> Wire:
        wire = Wire(host)
        wire.taps.append(self.captures[side].write)
        return wire

    def _cluster(self) -> ClusterSettings:
        """What the cluster serves to booting phones. It is not in mixed mode: the proxy makes phones secure."""
        foreign = {"pub": self.pki.bad["self-signed"]} if self.scene.fault is Fault.FOREIGN_CAPF else {}
        devices = [Device(device, number, PASSWORDS[number]) for device, number in zip(DEVICES, NUMBERS, strict=True)]
        nodes = dict(zip(("pub", "sub"), self.network.nodes, strict=True))
        return ClusterSettings(nodes, self.pki, tuple(devices), ports=Ports(tftp=TFTP_PORT), capf=foreign)

    def _booting(self) -> PoweredPhone:
        """Phone 1 as it comes out of the box; `furnish` is what no configuration says."""
        if self.scene.fault is Fault.FOREIGN_CTL:
            self.flash.store_list(CTL, foreign_list(self.flash.read(self.pki.bad["self-signed"])))
        model, host = MODELS["8841"], self.network.phone(1)
        on_the_way = damage if self.scene.fault is Fault.DAMAGED_CONFIG else untouched
        downloader = Downloader(model, host, self.network.access, tftp_port=TFTP_PORT, on_the_way=on_the_way)
        return PoweredPhone(BootSettings(DEVICES[0], model, STRING), self.flash, downloader, self.pacer, self._furnish)

    def _furnish(self, settings: PhoneSettings) -> PhoneSettings:
        settings = replace(settings, says=self.options.tones[0], fault=self._fault(0), wire=self.access_wire)
        if self.scene.fault is Fault.WRONG_CERTIFICATE:
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
        if index == 0 and self.scene.fault is Fault.WRONG_CERTIFICATE:
            return self.pki.bad["unknown-capf"]
        return self.pki.phones[DEVICES[index]]

    def _fault(self, index: int) -> VoiceFault:
        if self.options.access is Access.CLEAR:
            return VoiceFault.CLEAR
        if index == 0 and self.scene.fault is Fault.WRONG_KEY:
            return VoiceFault.WRONG_KEY
        return VoiceFault.NONE

    async def raise_curtain(self) -> None:
        """Start the cluster, unless it is to be dead, and the wire to where the farm registers."""
        if self.scene.fault is not Fault.DEAD_CORE:
            await self.cucm.start()
            await self.cluster.start()
        if self.farm is not None:
            await self.sccp_wire.start((self.network.sccp_wire, SCCP))

    async def start_farm(self) -> bool:
        """Whether it has registered."""
        if self.farm is None or self.scene.fault is Fault.NO_FARM:
            return False
        return await self.farm.start()

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
        if self.farm is not None:
            await self.farm.stop()
            await self.sccp_wire.close()
            self.sccp_capture.close()
        for capture in self.captures.values():
            capture.close()
