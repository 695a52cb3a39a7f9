"""What a program that is not ours reads in the reports: both legs' compounds, dissected by tshark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.utils import PcapWriter

from .reported import START, WALL, clear, secure

pytestmark = pytest.mark.interop
TSHARK = shutil.which("tshark")
FIELDS = (
    "rtcp.pt",
    "rtcp.senderssrc",
    "rtcp.timestamp.ntp.msw",
    "rtcp.sender.packetcount",
    "rtcp.sender.octetcount",
    "rtcp.ssrc.cum_nr",
    "rtcp.ssrc.fraction",
    "rtcp.ssrc.ext_high",
    "rtcp.sdes.text",
    "rtcp.length_check",
)


def dissect(folder: Path, *compounds: bytes) -> list[list[str]]:
    if TSHARK is None:
        pytest.skip("tshark is not installed")
    capture = folder / "reports.pcap"
    with PcapWriter(str(capture), linktype=101) as writer:
        for compound in compounds:
            writer.write(IP(src="127.0.0.1", dst="127.0.0.2") / UDP(sport=5001, dport=5001) / compound)
    command = [TSHARK, "-n", "-r", str(capture), "-d", "udp.port==5001,rtcp", "-T", "fields"]
    command += [word for field in (*FIELDS, "_ws.malformed") for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_a_sender_report_with_a_block_and_a_name(tmp_path: Path) -> None:
    line = clear()
    line.talk(0, 10)
    for _ in range(5):
        line.carry(0, line.phones[0].say(step=3))
    line.talk(1, 7)
    told = line.due()[0]
    ((kinds, ssrc, seconds, packets, octets, lost, fraction, highest, name, length, malformed),) = dissect(
        tmp_path, told.datagram
    )
    assert kinds == "200,202"
    assert int(ssrc, 0) == told.report.ssrc  # type: ignore[union-attr]
    assert abs(int(seconds) - (WALL + 2_208_988_800 + line.now - START)) < 2
    assert (packets, octets) == ("7", str(7 * 160))
    assert (lost, fraction, highest) == ("10", str(10 * 256 // 25), str(line.phones[0].sequence))
    assert name == told.name.cname  # type: ignore[union-attr]
    assert set(length.split(",")) <= {"1", "True"}
    assert malformed == ""


def test_a_receiver_report_and_what_srtcp_held(tmp_path: Path) -> None:
    """A leg that sent nothing, and a secure leg's compound after libsrtp has opened it."""
    line = secure()
    line.talk(0, 3)
    told = line.due()
    opened = line.phones[0]._in
    assert opened
    assert told[0].report.ssrc != told[1].report.ssrc  # type: ignore[union-attr]
    line.talk(1, 3)
    line.now += 60
    ((_leg, datagram, *_rest),) = [each for each in line.session.reports(line.now) if each[0] == 0]
    rows = dissect(tmp_path, told[1].datagram, opened.unprotect_rtcp(datagram))
    assert [row[0] for row in rows] == ["200,202", "200,202"]
    assert [row[3] for row in rows] == ["3", "3"]
    silent = clear()
    silent.talk(0, 3)
    assert dissect(tmp_path, silent.due()[0].datagram)[0][0] == "201,202"
