"""What one run of the demo has seen: facts only. What they mean is for `judge`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubelab.audio.tones import Hearing
from cubelab.demo.boot import BootSeen
from cubelab.demo.legs import VoiceLeg
from cubelab.eavesdropper.eavesdropper import Findings


@dataclass(slots=True)
class Registered:
    number: str
    device: str
    ok: bool
    detail: str  # "expires 3600 s, ..." or why not
    challenged: bool = False
    shown: str = ""  # SHA-256 of the certificate that the phone showed


@dataclass(slots=True)
class Heard:
    """What one phone made of the other."""

    listener: str  # number
    speaker: str
    hearing: Hearing
    received: int  # packets that it could verify
    refused: int  # packets that failed authentication
    sent_by_speaker: int  # packets
    accepted: int | None = None  # of these, by the proxy's show; None when it shows no such leg


@dataclass(slots=True)
class Complaint:
    """A warning or an error of the proxy."""

    name: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.text}; fix: {self.fix}" if self.fix else self.text


@dataclass(slots=True)
class Dissected:
    """What tshark made of a capture."""

    capture: str
    packets: int  # in the capture, by our own count
    rtp: int
    malformed: int


@dataclass(slots=True)
class Observations:
    """Filled in from top to bottom; what is still None was not reached, and `stopped` says why."""

    tones: tuple[int, int]  # Hz: what phone 1 says, what phone 2 says
    proxy_host: str = ""  # its address on the access side
    access_host: str = ""  # the wire's address there
    core_host: str = ""
    command: str = ""
    stopped: str = ""
    ready_after: float | None = None  # s
    proxy_trouble: str = ""
    core_own: str = ""  # the proxy's address on the core side
    served: str = ""  # SHA-1 of the trust list that the proxy says it serves
    boot: BootSeen | None = None
    registrations: list[Registered] = field(default_factory=list)
    plain_offer: tuple[int, str] | None = None  # status and text of the answer
    call_ok: bool | None = None
    call_detail: str = ""
    heard: list[Heard] = field(default_factory=list)
    show: str = ""
    legs: list[VoiceLeg] | None = None
    core: Findings | None = None
    access: Findings | None = None
    dissected: list[Dissected] | None = None  # None with `no_dissector`: the tool is missing
    no_dissector: str = ""
    byes: int | None = None  # ends of the call that went through
    legs_after: int | None = None
    unregistered: bool | None = None
    exit_code: int | None = None
    complaints: list[Complaint] = field(default_factory=list)
