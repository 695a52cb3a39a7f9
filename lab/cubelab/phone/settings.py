"""What makes one virtual phone this phone and no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cubelab.agent.requests import DEFAULT_PORT
from cubelab.agent.trust import Judge
from cubelab.voice.negotiation import SECURE, VoiceProfile
from cubelab.voice.voice import Source, VoiceFault
from cubelab.wire.wire import Wire
from cubeproxy.protocols.values import Address, Transport


@dataclass(slots=True)
class PhoneSettings:
    """`host` is the phone's own address, `proxy` whom it registers with and calls through."""

    number: str
    password: str = field(repr=False)
    device: str  # SEP and the MAC
    host: str
    proxy: Address
    transport: Transport = Transport.TLS
    certificate: Path | None = None
    key: Path | None = None
    trust: tuple[Path, ...] = ()  # PEM files or folders: whom it accepts as its proxy
    judge: Judge | None = None  # a judge of its own in the place of `trust`: the lists of a phone that has booted
    voice: VoiceProfile = SECURE
    says: Source = None
    fault: VoiceFault = VoiceFault.NONE
    wire: Wire | None = None
    record: bool = True
    answers: bool = True  # picks up by itself
    rings: float = 0.0  # s before it picks up
    expires: int = 3600  # s

    @property
    def domain(self) -> str:
        """Host part of the phone's address of record, and of whom it calls."""
        host, port = self.proxy
        return host if port == DEFAULT_PORT[self.transport] else f"{host}:{port}"
