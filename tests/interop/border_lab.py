"""A proxy with a core and phones of several makes: who has which address, certificate, number and tone.

The configuration is the shipped sample for IOS XE with documentation addresses mapped to loopback ones, its core side
turned to UDP and RTP, or the shipped sample for a mixed-mode cluster with TLS and SRTP on the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cubelab.pki.lab import Lab, init_lab
from tests.interop.programs.addresses import Addresses
from tests.interop.programs.audio import FRAME, assert_tone, judge, write_tone
from tests.interop.programs.baresip import Account, Baresip
from tests.interop.programs.cubeproxy import Cubeproxy
from tests.interop.programs.kamailio import Kamailio, TlsFiles
from tests.interop.programs.linphone import Linphone, LinphoneAccount
from tests.interop.programs.process import free_ports, running, until

DEVICES = ("SEP001122334455", "SEP001122334466")
CONFIGS = Path(__file__).parents[2] / "lab" / "configs"
PASSWORD = "secret"
SIP, SIPS = 5060, 5061
UDP, TLS = "udp", "tls"
PHONE, CORE = 440, 1000  # Hz, who says which tone
TALK = 2.0  # s of it that a recording must hold

Phone = Baresip | Linphone


@dataclass(slots=True)
class Places:
    """Addresses that the certificates name, so that they stay for the whole test run."""

    access: str
    core: str
    publisher: str
    subscriber: str

    @property
    def map(self) -> dict[str, str]:
        """From the samples' addresses."""
        return {
            "192.0.2.1": self.access,
            "198.51.100.1": self.core,
            "198.51.100.11": self.publisher,
            "198.51.100.12": self.subscriber,
        }


class BorderLab:
    """Makes the programs of one test around one proxy; whoever uses them starts them."""

    def __init__(self, places: Places, pki: Lab, folder: Path, core: str) -> None:
        self.places, self.pki, self.folder, self.core_transport = places, pki, folder, core
        self.authority = folder / "trusted-by-all.pem"
        self.authority.write_text("".join(file.read_text() for file in sorted(pki.trust.glob("*.pem"))))

    @classmethod
    def pki_for(cls, folder: Path, addresses: Addresses) -> tuple[Places, Lab]:
        places = Places(*(addresses.take() for _ in range(4)))
        nodes = {"pub": (places.publisher,), "sub": (places.subscriber,)}
        cube = (places.access, places.core)
        return places, init_lab(folder, devices=DEVICES, nodes=nodes, cube=cube)

    @property
    def domain(self) -> str:
        """What phones call their server."""
        return f"{self.places.access}:{SIPS}"

    def proxy(self, *options: str, text: str = "") -> Cubeproxy:
        text = text or configuration(self.core_transport)
        where = (self.places.access, SIPS)
        return Cubeproxy(self.folder / "proxy", text, self.pki.nvram, self.places.map, where, options)

    def core(self, node: str = "pub") -> Kamailio:
        """A node of the cluster: a registrar with digest, over UDP, and with mutual TLS on a mixed-mode core."""
        host = self.places.publisher if node == "pub" else self.places.subscriber
        tls = None
        if self.core_transport == TLS:
            own = self.pki.cucm[node]
            tls = TlsFiles(own.certificate, own.key, self.authority)
        return Kamailio(self.folder / f"core-{node}", host, port=SIP, tls_port=SIPS, password=PASSWORD, tls=tls)

    def core_phone(self, user: str, hertz: int, codecs: str = "pcmu") -> Baresip:
        """A phone that registers with the core itself: RTP over UDP, or SRTP over TLS."""
        secure = self.core_transport == TLS
        registrar = f"{self.places.publisher}:{SIPS if secure else SIP}"
        encryption = "srtp-mand" if secure else ""
        account = Account(user, registrar, self.core_transport, user, PASSWORD, encryption, register=60, codecs=codecs)
        return self._baresip(f"core-{user}", account, hertz, DEVICES[1])

    def access_baresip(self, user: str, hertz: int, device: str = DEVICES[0], codecs: str = "pcmu") -> Baresip:
        account = Account(user, self.domain, TLS, user, PASSWORD, "srtp-mand", register=60, codecs=codecs)
        return self._baresip(f"phone-{user}", account, hertz, device)

    def access_linphone(self, user: str, hertz: int, device: str = DEVICES[0]) -> Linphone:
        account = LinphoneAccount(user, self.domain, self.places.access, password=PASSWORD)
        identity = self.pki.phones[device]
        sound = write_tone(self.folder / f"{hertz}.wav", hertz, seconds=60)
        return Linphone(
            self.folder / f"phone-{user}",
            account,
            sound,
            certificate=identity.certificate,
            key=identity.key,
            authority=self.authority,
        )

    def phone_calls_core(self, proxy: Cubeproxy, callee: Baresip, phone: Phone) -> None:
        """A call from outside, from registration to hang-up; each hears the other's tone."""
        with running(self.core(), proxy, callee, phone):
            callee.wait_registered()
            phone.wait_registered()
            phone.dial(f"sip:{callee.account.user}@{self.domain}")
            callee.wait_established()
            phone.wait_established()
            until("the core hears the phone", lambda: hears(callee, PHONE), log=proxy.log)
            phone.hang_up()
            callee.wait_closed()
        assert_tone(callee.heard, PHONE, TALK)
        assert_tone(phone.heard, CORE, TALK)

    def core_calls_phone(self, proxy: Cubeproxy, caller: Baresip, phone: Phone) -> None:
        """A call from inside, from registration to hang-up; each hears the other's tone."""
        with running(self.core(), proxy, caller, phone):
            caller.wait_registered()
            phone.wait_registered()
            caller.dial(f"sip:{phone.account.user}@{caller.account.registrar}")
            if isinstance(phone, Linphone):
                phone.wait_ringing()
                phone.answer()
            caller.wait_established()
            phone.wait_established()
            until("the core hears the phone", lambda: hears(caller, PHONE), log=proxy.log)
            caller.hang_up()
            phone.wait_closed()
        assert_tone(caller.heard, PHONE, TALK)
        assert_tone(phone.heard, CORE, TALK)

    def _baresip(self, name: str, account: Account, hertz: int, device: str) -> Baresip:
        identity = self.pki.phones[device]
        both = self.folder / f"{name}.pem"
        both.write_bytes(identity.certificate.read_bytes() + identity.key.read_bytes())
        return Baresip(
            self.folder / name,
            account,
            tone=hertz,
            certificate=both,
            authority=self.authority,
            listen=free_ports("127.0.0.1", 2),
        )


def configuration(core: str) -> str:
    """A whole running configuration, from a shipped sample."""
    if core == TLS:
        text = (CONFIGS / "sample-b.ios").read_text()
        return text.replace("version 15.5\n", "version 17.9\n", 1)  # a transcoder would be needed on IOS 15
    text = (CONFIGS / "sample-a-xe.ios").read_text()
    changed = text.replace(" session transport tcp\n", " session transport udp\n")
    assert changed != text, "the sample's core side is no longer TCP"
    return changed


def hears(phone: Baresip, hertz: float) -> bool:
    """Whether its newest recording holds the tone for longer than is asked for, while the call is up."""
    return judge(phone.heard, hertz).tone * FRAME >= TALK + 1
