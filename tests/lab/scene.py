"""A virtual CUCM and phones that register with it directly, on loopback addresses and free ports."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.phone.phone import VirtualPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.pki.lab import DEVICES, Lab
from cubelab.voice.pacer import Pacer
from cubelab.voice.voice import Voice
from cubeproxy.protocols.values import Transport
from tests.waiting import until

NODE = "127.51.1.11"
PASSWORDS = {"1001": "first secret", "1002": "second secret", "1003": "third secret"}


class Scene:
    """`async with Scene(pki) as scene`: the CUCM runs; phones made with `phone` are closed with it."""

    def __init__(self, pki: Lab, transport: Transport = Transport.TLS, **cucm: Any) -> None:
        self.pki = pki
        self.transport = transport
        self.pacer = Pacer()
        self.phones: list[VirtualPhone] = []
        identity = pki.cucm["pub"]
        base = 21000 + 2 * len(PASSWORDS)
        settings = {
            "nodes": (NODE,),
            "users": dict(PASSWORDS),
            "endpoints": {"3001": 1000},
            "identities": {NODE: (identity.certificate, identity.key)},
            "trust": (pki.trust,),
            "ports": {Transport.UDP: base, Transport.TCP: base, Transport.TLS: base + 1},
            "reuse": True,
        }
        self.cucm = VirtualCucm(CucmSettings(**{**settings, **cucm}), self.pacer)

    async def __aenter__(self) -> Self:
        await self.cucm.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for phone in self.phones:
            await phone.close()
        await self.cucm.close()

    async def phone(self, index: int = 1, **changes: Any) -> VirtualPhone:
        device = DEVICES[index - 1]
        identity = self.pki.phones[device]
        number = f"100{index}"
        settings = {
            "number": number,
            "password": PASSWORDS[number],
            "device": device,
            "host": f"127.51.2.{index}",
            "proxy": (NODE, self.cucm.settings.ports[self.transport]),
            "transport": self.transport,
            "certificate": identity.certificate,
            "key": identity.key,
            "trust": (self.pki.folder / "cucm" / "pub" / "cert.pem",),
        }
        phone = VirtualPhone(PhoneSettings(**{**settings, **changes}), self.pacer)
        self.phones.append(phone)
        await phone.start()
        return phone


async def hears(voice: Voice, packets: int) -> None:
    """Wait until the voice has so many packets; a silent one ends in TimeoutError."""
    await until(lambda: len(voice.recording) >= packets)
