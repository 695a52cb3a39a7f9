"""The demo's own capture of port 2000, dissected by tshark: what our decoder counts and which keys it finds are so.

The keys that tshark takes from the capture then open what stands in the demo's capture of the access side, each of
them one stream, by libsrtp: they are those of the call.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pylibsrtp
import pytest
from scapy.layers.inet import UDP
from scapy.utils import PcapReader

from cubelab.eavesdropper.sccp import SccpSeen, read_sccp
from cubeproxy.protocols.sccp.media_messages import OpenReceiveChannel, StartMediaTransmission
from cubeproxy.protocols.sccp.registry import MESSAGES
from tests.interop.programs.process import require

SUITES = {  # MediaEncryption's algorithm, as tshark shows it, to libsrtp's profile
    "CCM_AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "CCM_AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


@dataclass(slots=True)
class Pdu:
    """One SCCP message in tshark's words: its fields by name, in order."""

    fields: list[tuple[str, str, str]]  # name, value in hexadecimal, what is shown

    def shown(self, name: str) -> str:
        return next(shown for field, _, shown in self.fields if field == name)

    def octets(self, name: str) -> bytes:
        return bytes.fromhex("".join(value for field, value, _ in self.fields if field == name))

    @property
    def number(self) -> int:
        return int.from_bytes(self.octets("skinny.messageId"), "little")

    @property
    def algorithm(self) -> str:
        return self.shown("skinny.algorithmID").removeprefix("algorithmID: ").partition(" ")[0]

    @property
    def master(self) -> bytes:
        return self.octets("skinny.key") + self.octets("skinny.salt")


@dataclass(slots=True)
class Shown:
    """What tshark makes of a capture."""

    pdus: list[Pdu]
    wrong: list[str]  # malformed packets, and warnings or worse of its experts


def tshark(capture: Path) -> Shown:
    command = [require("tshark"), "-n", "-r", str(capture), "-d", "tcp.port==2000,skinny", "-T", "pdml"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    found = Shown([], [])
    for packet in ElementTree.fromstring(done.stdout).iter("packet"):
        for proto in packet.iter("proto"):
            if proto.get("name") == "skinny":
                rows = [(f.get("name", ""), f.get("value", ""), f.get("showname", "")) for f in proto.iter("field")]
                found.pdus.append(Pdu(rows))
            elif proto.get("name") == "_ws.malformed":
                found.wrong.append("malformed")
        for field in packet.iter("field"):
            if field.get("name") == "_ws.expert.severity" and int(field.get("show", "0"), 0) >= 0x600000:
                found.wrong.append(str(field.get("showname")))
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("tshark")
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "cubeproxy.cli.main", "demo", "--out", str(folder), "--talk", "1.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def ours(out: Path) -> SccpSeen:
    return read_sccp(out / "sccp.pcap")


@pytest.fixture(scope="module")
def theirs(out: Path) -> Shown:
    return tshark(out / "sccp.pcap")


def test_both_count_the_same_messages_and_none_is_malformed(ours: SccpSeen, theirs: Shown) -> None:
    kinds = Counter(MESSAGES[pdu.number].__name__ for pdu in theirs.pdus)
    assert kinds == ours.messages
    assert theirs.wrong == ours.unreadable == []
    assert kinds["RegisterRequest"] == kinds["RegisterAck"] == kinds["UnregisterRequest"] == 1
    assert kinds["OpenReceiveChannel"] == kinds["OpenReceiveChannelAck"] == 4  # two calls, two streams of each
    assert kinds["StartMediaTransmission"] == kinds["StartMediaTransmissionAck"] == 4


def keyed(theirs: Shown) -> Iterator[Pdu]:
    for pdu in theirs.pdus:
        if pdu.number in (OpenReceiveChannel.ID, StartMediaTransmission.ID):
            yield pdu


def test_both_take_the_same_keys_from_it(out: Path, ours: SccpSeen, theirs: Shown) -> None:
    by_tshark = [(pdu.number == OpenReceiveChannel.ID, pdu.master or None) for pdu in keyed(theirs)]
    by_us = [(one.opens, one.key.master if one.key else None) for one in ours.channels]
    assert by_tshark == by_us
    assert Counter(master is not None for _, master in by_tshark) == {True: 4, False: 4}
    (claim,) = (one for one in json.loads((out / "report.json").read_text())["claims"] if one["id"] == "farm.keys")
    assert claim["evidence"].startswith("4 of 4 keys equal")  # to those of the SDES lines


def test_each_key_opens_one_stream_of_the_access_side(out: Path, theirs: Shown) -> None:
    keys = {pdu.master: SUITES[pdu.algorithm] for pdu in keyed(theirs) if pdu.master}
    opened: Counter[bytes] = Counter()
    streams: dict[int, list[bytes]] = {}
    with PcapReader(str(out / "access.pcap")) as packets:
        for packet in packets:
            data = bytes(packet[UDP].payload)
            streams.setdefault(int.from_bytes(data[8:12], "big"), []).append(data)
    for packets_of_stream in streams.values():
        fitting = [key for key, profile in keys.items() if opens(key, profile, packets_of_stream)]
        assert len(fitting) == 1
        opened.update(fitting)
    assert opened == dict.fromkeys(keys, 1)


def opens(key: bytes, profile: int, packets: list[bytes]) -> bool:
    """Whether every packet verifies."""
    session = pylibsrtp.Session(
        pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
    )
    try:
        return all(session.unprotect(packet) for packet in packets)
    except pylibsrtp.Error:
        return False
