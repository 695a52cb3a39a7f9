"""What an observed run of the demo looks like when everything went well: the judges' tests change one thing in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cubelab.audio.tones import Hearing
from cubelab.demo.boot import BootSeen
from cubelab.demo.legs import read_legs
from cubelab.demo.observations import Dissected, FarmSeen, Heard, Lines, Observations, Refusal, Registered
from cubelab.eavesdropper.eavesdropper import Findings, Overheard
from cubelab.eavesdropper.sccp import Channel, SccpSeen
from cubelab.eavesdropper.streams import Stream
from cubelab.phone.diary import Line
from cubeproxy.protocols.suites import MasterKey, Suite

SUITE = Suite.AES_CM_128_HMAC_SHA1_32
WIRE, CORE, PROXY = "127.1.40.1", "127.1.50.1", "127.1.10.1"
TONES = (440, 1000)


def overheard(frequency: int, hits: int, destination: str) -> Overheard:
    stream = Stream((WIRE, 30000), (destination, 8000), 1, 0, dict.fromkeys(range(100), b""))
    return Overheard(stream, Hearing(frequency, 20, hits, hits / 20), None)


def findings(name: str, *streams: Overheard) -> Findings:
    return Findings(Path(name), 100 * len(streams), list(streams))


SHOW = """\
Total call-legs: 4

2    : 3 88ms.1 (*12:32:56.406 UTC Tue Nov 24 2026) +5 pid:100 Answer 1001 active
 dur 00:00:02 tx:126/20160 rx:125/20000 dscp:0 media:0 audio tos:0xB8 video tos:0x0
 IP 127.1.40.1:30002 SRTP: on rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off Transcoded: No ICE: Off
 VRF: NA

2    : 4 88ms.2 (*12:32:56.406 UTC Tue Nov 24 2026) +5 pid:200 Originate 1002 active
 dur 00:00:02 tx:125/20000 rx:126/20160 dscp:0 media:0 audio tos:0xB8 video tos:0x0
 IP 127.1.50.1:30000 SRTP: off rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off Transcoded: No ICE: Off

3    : 5 89ms.1 (*12:32:56.407 UTC Tue Nov 24 2026) +3 pid:200 Answer 1001 active
 dur 00:00:02 tx:126/20160 rx:125/20000 dscp:0 media:0
 IP 127.1.50.1:30000 SRTP: off rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off

3    : 6 89ms.2 (*12:32:56.407 UTC Tue Nov 24 2026) +3 pid:100 Originate 1002 active
 dur 00:00:02 tx:125/20000 rx:126/20160 dscp:0 media:0
 IP 127.1.40.1:30004 SRTP: on rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off
"""

FARM_LEGS = "".join(
    f"""
{call}    : {number} 88ms.3 (*12:32:56.406 UTC Tue Nov 24 2026) +0 pid:0 Originate  connecting
 dur 00:00:02 tx:125/20000 rx:125/20000 dscp:0 media:0
 IP 127.1.20.1:2000 SRTP: {srtp} rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off
"""
    for call, number, srtp in ((2, 1, "off"), (2, 2, "on"), (3, 7, "off"), (3, 8, "on"))
)


def booted() -> BootSeen:
    """What a phone says that boots, enrols, resets and registers."""
    lines = [
        Line(step, True, f"the {step} step")
        for step in (
            "ctl",
            "itl",
            "config",
            "capf",
            "lsc",
            "identity",
            "reset",
            "ctl",
            "config",
            "identity",
            "register",
        )
    ]
    return BootSeen(
        lines=lines,
        roles=(0, 2, 4),
        held="ab" * 20,
        before={"node": "127.1.20.11", "security mode": "1", "transport": "4", "CAPF": "127.1.20.11"},
        after={"node": PROXY, "security mode": "3", "transport": "3", "CAPF": PROXY},
        capf_peers=("127.1.20.1",),
        lsc="CN=SEP of CN=CAPF",
        issued=True,
        fingerprint="cd" * 32,
    )


OWN = [MasterKey(SUITE, bytes([number]) * 30) for number in (1, 2)]  # what the phones send with
FAR = [MasterKey(SUITE, bytes([number]) * 30) for number in (11, 12)]  # what the proxy announced to them


def channels() -> list[Channel]:
    """Two sessions of two streams: the first stream of each is the phone's."""
    found = []
    for session in (0, 1):
        for opens, keys in ((True, OWN), (False, FAR)):
            found += [Channel(opens, session, 10 * session, keys[session]), Channel(opens, session, 10 * session + 1)]
    return found


def farm() -> FarmSeen:
    sccp = SccpSeen(
        "sccp.pcap",
        Counter(RegisterRequest=1, RegisterAck=1, OpenReceiveChannel=4, StartMediaTransmission=4),
        farm="CUBEXCODE",
        sessions=24,
        codecs=7,
        version=17,
        unregistered=True,
        channels=channels(),
    )
    refusal = Refusal(500, "500 Server Internal Error", '399 127.1.10.1 "Transcoder Not Configured"', "Q.850;cause=16")
    return FarmSeen(True, stopped=0, refusal=refusal, sccp=sccp)


def good() -> Observations:
    """Both runs, as they should be."""
    seen = run(SHOW + FARM_LEGS)
    seen.farm = farm()
    seen.software = run(SHOW)
    return seen


def run(show: str) -> Observations:
    noise = [overheard(440, 0, host) for host in (PROXY, PROXY, "127.1.30.1", "127.1.30.2")]
    return Observations(
        tones=TONES,
        proxy_host=PROXY,
        access_host=WIRE,
        core_host=CORE,
        command="cubeproxy run x.ios",
        ready_after=0.5,
        core_own="127.1.20.1",
        served="ab" * 20,
        boot=booted(),
        registrations=[
            Registered(n, "SEP001122334455", True, "digest answered", True, "cd" * 32) for n in ("1001", "1002")
        ],
        plain_offer=(488, "488 Not Acceptable Here"),
        call_ok=True,
        call_detail="200 OK",
        heard=[
            Heard("1002", "1001", Hearing(440, 20, 20, 1.0), 100, 0, 101, 100),
            Heard("1001", "1002", Hearing(1000, 20, 20, 1.0), 100, 0, 101, 100),
        ],
        lines=[Lines(number, *keys) for number, *keys in zip(("1001", "1002"), OWN, FAR, strict=True)],
        show=show,
        legs=read_legs(show),
        core=findings("core.pcap", overheard(440, 20, PROXY), overheard(1000, 20, PROXY)),
        access=findings("access.pcap", *noise),
        dissected=[Dissected("access.pcap", 400, 400, 0)],
        byes=2,
        legs_after=0,
        unregistered=True,
        exit_code=0,
    )
