"""A whole life of a farm on the wire, dissected by a program that is not ours.

Nothing is malformed, every message is counted, and the keys are those of the call.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cubeproxy.protocols.sccp.registry import HEAD
from tests.media.transcoders.scene import CLEAR, NEXT, OURS, SECURE, THEIRS, Box
from tests.protocols.sccp.pcap import write

pytestmark = pytest.mark.interop
TSHARK = shutil.which("tshark")


def tshark(capture: Path, *fields: str, only: str = "skinny") -> list[list[str]]:
    if TSHARK is None:
        pytest.skip("tshark is not installed")
    command = [TSHARK, "-n", "-r", str(capture), "-d", "tcp.port==2000,skinny", "-Y", only, "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def life() -> Box:
    """A farm registers, carries a call that changes its key, and goes."""
    box = Box()
    farm = box.farm()
    session = box.reserve()
    box.update(session)
    box.update(session, replace(SECURE, receive_key=NEXT), CLEAR)
    box.release(session)
    box._from_farm(1, farm.act(farm.client.timeout(30.0)))
    assert box.pool.farms is not None
    box.run(box.pool.heard(box.pool.farms.reset(31.0), 31.0))
    return box


def test_every_message_of_a_farms_life_is_understood(tmp_path: Path) -> None:
    box, capture = life(), tmp_path / "sccp.pcap"
    write(capture, box.wire)
    sent = Counter(HEAD.unpack_from(octets)[2] for _, octets in box.wire)
    seen = Counter(
        int(number, 0) for (numbers,) in tshark(capture, "skinny.messageId") for number in numbers.split(",")
    )
    assert seen == sent
    assert {0x0, 0x1, 0x10, 0x22, 0x27, 0x2C, 0x81, 0x8A, 0x8B, 0x9B, 0x9F, 0x100, 0x105, 0x106, 0x118, 0x154} <= set(
        sent
    )
    assert tshark(capture, "frame.number", only="_ws.malformed || _ws.short") == []
    assert tshark(capture, "frame.number", only="tcp.payload && !skinny") == []


def test_the_keys_on_the_wire_are_those_of_the_call_and_each_is_where_it_belongs(tmp_path: Path) -> None:
    box, capture = life(), tmp_path / "sccp.pcap"
    write(capture, box.wire)
    rows = tshark(capture, "skinny.messageId", "skinny.algorithmID", "skinny.key", only="skinny.algorithmID")
    found = [(int(number, 0), int(algorithm, 0), _octets(key)) for number, algorithm, key in rows]
    first, second = 0x105, 0x8A
    assert found == [
        (first, 1, THEIRS.master[:16]),
        (first, 0, b""),
        (second, 1, OURS.master[:16]),
        (second, 0, b""),
        (first, 1, NEXT.master[:16]),
        (second, 1, OURS.master[:16]),
    ]


def _octets(text: str) -> bytes:
    return bytes(int(octet, 0) for octet in text.split(",")) if text else b""
