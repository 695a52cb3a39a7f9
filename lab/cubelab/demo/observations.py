"""What one run of the demo has seen: facts only. What they mean is for `judge`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubelab.audio.tones import Hearing
from cubelab.demo.boot import BootSeen
from cubelab.demo.legs import VoiceLeg
from cubelab.eavesdropper.eavesdropper import Findings
from cubelab.eavesdropper.sccp import SccpSeen
from cubeproxy.protocols.suites import MasterKey


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
    passed_on: int | None = None  # of these, on the other leg of the same call


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
    units: int  # packets or messages in the capture, by our own count
    found: int  # of these, by tshark's
    malformed: int
    what: str = "RTP"


@dataclass(slots=True)
class Lines:
    """The SDES lines of one phone's call, as the phone saw them."""

    number: str
    own: MasterKey = field(repr=False)  # that it sends with
    far: MasterKey = field(repr=False)  # that the proxy announced


@dataclass(slots=True)
class Refusal:
    """How a call ended that was not to come up. `status` 200: it came up all the same, 0: no answer."""

    status: int
    text: str
    warning: str = ""
    reason: str = ""


@dataclass(slots=True)
class FarmSeen:
    """The DSP farm's part. `stopped` is the exit code of a farm that was told to stop."""

    started: bool = False
    trouble: str = ""  # the last words of one that ended by itself
    complaints: list[Complaint] = field(default_factory=list)
    stopped: int | None = None
    refusal: Refusal | None = None  # of the call after that
    sccp: SccpSeen | None = None  # what stood in the capture


@dataclass(slots=True)
class Observations:
    """Filled in from top to bottom; what is still None was not reached, and `stopped` says why.

    `farm` is None where the configuration has none, `software` is the second run on IOS XE.
    """

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
    lines: list[Lines] = field(default_factory=list)
    farm: FarmSeen | None = None
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
    software: Observations | None = None
