"""What we write, dissected by a program that is not ours: every message, in every header version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cubeproxy.protocols.sccp.codecs import capabilities
from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.media_messages import OpenReceiveChannel, StartMediaTransmission
from cubeproxy.protocols.sccp.messages import CapabilitiesResponse
from cubeproxy.protocols.sccp.registry import HEADER_VERSIONS, MESSAGES, Message, encode
from cubeproxy.protocols.suites import MasterKey, Suite
from tests.protocols.sccp.pcap import write

pytestmark = pytest.mark.interop
TSHARK = shutil.which("tshark")
KEY = MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes(range(1, 31)))
ENCRYPTED = {OpenReceiveChannel, StartMediaTransmission}


def tshark(capture: Path, *arguments: str) -> list[str]:
    if TSHARK is None:
        pytest.skip("tshark is not installed")
    command = [TSHARK, "-n", "-r", str(capture), "-d", "tcp.port==2000,skinny", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def sample(kind: type[Message]) -> Message:
    if kind in ENCRYPTED:
        return kind(encryption=MediaEncryption.of(KEY), party=7)  # type: ignore[call-arg]
    if kind is CapabilitiesResponse:
        return CapabilitiesResponse(capabilities(["g711ulaw", "g711alaw", "g729ar8"]))
    return kind()


def test_no_message_in_any_version_is_malformed(tmp_path: Path) -> None:
    capture = tmp_path / "all.pcap"
    sent = [(kind, version) for version in HEADER_VERSIONS for kind in MESSAGES.values()]
    write(capture, [(True, encode(sample(kind), version)) for kind, version in sent])
    rows = tshark(capture, "-T", "fields", "-e", "skinny.messageId", "-e", "_ws.malformed", "-e", "skinny.hdr_version")
    read = [row.split("\t") for row in rows]
    wrong = [
        f"{kind.__name__} version {version}: {row}"
        for (kind, version), row in zip(sent, read, strict=True)
        if int(row[0] or "-1", 0) != kind.ID or row[1]
    ]
    assert wrong == []


@pytest.mark.parametrize("version", [0, 11, 17, 22])
@pytest.mark.parametrize("kind", [OpenReceiveChannel, StartMediaTransmission])
def test_the_key_is_where_the_dissector_looks_for_it(tmp_path: Path, kind: type[Message], version: int) -> None:
    capture = tmp_path / "key.pcap"
    write(capture, [(True, encode(sample(kind), version))])
    (row,) = tshark(
        capture, "-T", "fields", "-e", "skinny.algorithmID", "-e", "skinny.keylen", "-e", "skinny.saltlen",
        "-e", "skinny.key", "-e", "skinny.salt", "-e", "skinny.passThroughPartyId",
    )  # fmt: skip
    algorithm, key_octets, salt_octets, key, salt, party = row.split("\t")
    assert (int(algorithm, 0), int(key_octets), int(salt_octets), int(party)) == (2, 16, 14, 7)
    read = [octet for text in (key, salt) for octet in text.split(",")]
    assert [int(octet, 0) for octet in read if octet][:16] == list(KEY.master[:16])


def test_a_stream_cut_anywhere_but_in_a_head_is_put_together_again(tmp_path: Path) -> None:
    capture = tmp_path / "cut.pcap"
    data = encode(sample(OpenReceiveChannel), 17) + encode(sample(StartMediaTransmission), 17)
    write(capture, [(True, data[:100]), (True, data[100:])])
    rows = [row for row in tshark(capture, "-T", "fields", "-e", "skinny.messageId") if row]
    assert [int(number, 0) for row in rows for number in row.split(",")] == [0x105, 0x8A]
