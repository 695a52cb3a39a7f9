"""tshark: captures on the loopback device, and dissects what was captured, as a decoder that we did not write."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .process import Program, require, until

NOT_ALLOWED = "tshark may not capture on lo: that takes root or the capability CAP_NET_RAW"


class Capture(Program):
    """A capture with a filter in pcap syntax. It is complete once `stop` returned."""

    name = "tshark"

    def __init__(self, folder: Path, capture_filter: str) -> None:
        super().__init__(folder)
        self.program = require("tshark")
        self.filter = capture_filter
        self.file = folder / "capture.pcapng"

    def command(self) -> Sequence[str]:
        return [self.program, "-i", "lo", "-B", "64", "-q", "-f", self.filter, "-w", str(self.file)]

    def ready(self) -> None:
        def capturing() -> bool:
            if "permission" in self.output.lower() or "not permitted" in self.output.lower():
                pytest.skip(NOT_ALLOWED)
            assert self.child is None or self.child.poll() is None, self.output
            return "Capturing on" in self.output and self.file.exists() and self.file.stat().st_size > 0

        until("tshark captures", capturing, log=self.log)

    def wait_message(self, last: str, sip_ports: Sequence[int]) -> None:
        """Until the file holds the last message that the test knows of (a key of `Dissection.sip`)."""

        def written() -> int:
            return dissect(self.file, sip_ports=sip_ports, whole=False, display_filter="sip").sip[last]

        until(f"{last} in the capture", written, log=self.log)

    def stop(self, how: signal.Signals = signal.SIGINT, seconds: float = 20) -> int | None:
        return super().stop(how, seconds)


@dataclass(slots=True)
class Dissection:
    """What tshark made of a capture. SIP messages are counted by method, and by status with method as "200 INVITE"."""

    sip: Counter[str] = field(default_factory=Counter)
    sdp: int = 0
    rtp: int = 0
    rtcp: int = 0
    tls: int = 0  # frames with TLS records that end in them
    malformed: list[str] = field(default_factory=list)  # frame number, protocols, what is wrong


FIELDS = (
    "frame.number",
    "frame.protocols",
    "sip.Method",
    "sip.Status-Code",
    "sip.CSeq.method",
    "_ws.expert.severity",
    "_ws.expert.message",
    "rtp.version",
)
# SRTCP is left out: of an offer with several suites tshark 4.0 does not know which one was taken, looks for the E bit
# in another's place, takes half of the packets for clear ones, and calls what it reads in them malformed.
JUDGED = "sip || sdp || rtp || rtcp || tls || (_ws.malformed && !srtcp)"
ERROR = str(0x00800000)  # severity "Error" of tshark's expert information; malformed packets have it


def dissect(
    capture: Path,
    *,
    sip_tls_ports: Sequence[int] = (),
    sip_ports: Sequence[int] = (),
    key_log: Path | None = None,
    whole: bool = True,
    display_filter: str = JUDGED,
) -> Dissection:
    """Dissects a capture; several SIP messages in one TLS record are all counted.

    A capture that is still being written may end in the middle of a packet: that is no error unless it is `whole`.
    """
    command = [require("tshark"), "-n", "-2", "-r", str(capture), "-Y", display_filter, "-T", "fields"]
    command += ["-E", "separator=\t", "-E", "occurrence=a", "-E", "aggregator=\x1f"]
    for port in sip_tls_ports:
        command += ["-d", f"tcp.port=={port},tls", "-d", f"tls.port=={port},sip"]
    for port in sip_ports:
        command += ["-d", f"udp.port=={port},sip"]
    if key_log:
        command += ["-o", f"tls.keylog_file:{key_log}"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or not whole, done.stderr
    result = Dissection()
    for line in done.stdout.splitlines():
        _add(result, dict(zip(FIELDS, line.split("\t"), strict=False)))
    return result


def _add(result: Dissection, row: dict[str, str]) -> None:
    protocols = row["frame.protocols"].split(":")
    for method in _values(row["sip.Method"]):
        result.sip[method] += 1
    statuses = _values(row["sip.Status-Code"])
    methods = _values(row["sip.CSeq.method"])[-len(statuses) :] if statuses else []
    for status, method in zip(statuses, methods, strict=False):
        result.sip[f"{status} {method}"] += 1
    result.sdp += protocols.count("sdp")
    result.rtp += protocols.count("rtp") + protocols.count("srtp")
    result.rtcp += protocols.count("rtcp") + protocols.count("srtcp")
    result.tls += "tls" in protocols
    severities = _values(row.get("_ws.expert.severity", ""))
    if ERROR in severities or "_ws.malformed" in protocols:
        words = row.get("_ws.expert.message", "").replace("\x1f", "; ")
        result.malformed.append(f"frame {row['frame.number']} {row['frame.protocols']}: {words}")


def _values(text: str) -> list[str]:
    return text.split("\x1f") if text else []
