"""Mutated packets, reports and commands against the native parsers, under AddressSanitizer and UBSan: no finding.

`cubeproxy/media/native/fuzz.c` is the target: libFuzzer where clang is, a mutator of our own over the same seeds
where it is not. The seeds are real: what phones send and what signalling asks for.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from cubeproxy.media.commands import Close, Hello, Open, Renew, Reports, Update, encode
from cubeproxy.protocols.rtcp import (
    Goodbye,
    ReceiverReport,
    Report,
    ReportBlock,
    SenderReport,
    SourceDescription,
    serialise,
)
from cubeproxy.protocols.suites import MasterKey, Suite

from . import builds
from .phones import Phone, key, outbound

COMMAND, DATAGRAM, REPORT, TELL = range(4)
CORE, RTCP_PORT = 4, 8  # bits of a record's first octet: the clear leg, the next port as its source
RUNS = 40_000
SOAK_RUNS = int(os.environ.get("CUBEPROXY_FUZZ_RUNS", "2000000"))


def record(what: int, data: bytes) -> bytes:
    return struct.pack("!BH", what, len(data)) + data


def seeds() -> list[bytes]:
    access = Phone(("127.0.0.1", 4000), MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes(30)))
    core = Phone(("127.0.0.2", 5000))
    sender = outbound(MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes(30)))  # the key that fuzz.c negotiates
    reports: list[list[Report]] = [
        [SenderReport(core.ssrc, 1 << 40, 2, 3, 4, [ReportBlock(5)]), SourceDescription(core.ssrc, "a@b")],
        [ReceiverReport(core.ssrc, [ReportBlock(1), ReportBlock(2)]), Goodbye([core.ssrc])],
    ]
    made = []
    for suite in Suite:
        specs = (Phone(("127.0.0.1", 4000), key(1, suite), key(2, suite)), Phone(("::1", 5000)))
        update = Update(1, (specs[0].spec(dtmf_payload_type=101), specs[1].spec(remote_rtcp=("::1", 5000))))
        voice = b"".join(record(DATAGRAM, access.say()) for _ in range(3))
        made.append(record(COMMAND, encode(update)) + voice + record(TELL, b""))
    for compound in map(serialise, *zip(*reports, strict=True)):
        talk = record(DATAGRAM | CORE, core.say()) + record(DATAGRAM | CORE, core.say(b"\x01" * 4, payload_type=101))
        made.append(talk + record(REPORT | CORE | RTCP_PORT, compound) + record(TELL | CORE, b""))
        made.append(record(REPORT | RTCP_PORT, sender.protect_rtcp(compound)) + record(TELL, b""))
    extended = core.say(b"x\x00\x02", first=0xB2, between=struct.pack("!IIHHI", 7, 8, 0xBEDE, 1, 0))
    made.append(record(DATAGRAM | CORE, extended) + record(DATAGRAM | CORE, b"\x80"))
    for command in (Hello(1, 2), Open(1, 2, 2, 10), Close(3), Renew(4), Reports(5)):
        made.append(record(COMMAND, encode(command)))
    return made


def run(program: Path, folder: Path, runs: int, seed: int) -> subprocess.CompletedProcess[str]:
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds()):
        (corpus / f"{number:02}").write_bytes(data)
    given = [corpus] if shutil.which("clang") else sorted(corpus.iterdir())  # libFuzzer takes a folder
    command = [str(program), f"-runs={runs}", f"-seed={seed}", *map(str, given)]
    return subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False, cwd=folder)


@pytest.fixture(autouse=True)
def _built() -> None:
    if builds.missing():
        pytest.skip(builds.missing())


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_can_arrive_is_read_or_written_beside_the_mark(tmp_path: Path, seed: int) -> None:
    done = run(builds.worker("fuzz"), tmp_path, RUNS, seed)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-8000:]
    assert str(RUNS) in done.stdout + done.stderr


@pytest.mark.soak
def test_nothing_for_long(tmp_path: Path) -> None:
    done = run(builds.worker("fuzz"), tmp_path, SOAK_RUNS, 3)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-8000:]


def test_the_fuzzer_sees_what_it_is_for(tmp_path: Path) -> None:
    """A parser that trusts a length is found by the same bounded run: built here, with one check taken out."""
    sources = tmp_path / "native"
    sources.mkdir()
    for path in (*builds.SOURCES.glob("*.[ch]"), builds.SOURCES / "Makefile"):
        shutil.copy(path, sources)
    parser, check = sources / "rtcp.c", "!octets || 4 + octets > left"
    assert check in parser.read_text()
    parser.write_text(parser.read_text().replace(check, "!octets"))
    command = ["make", "-s", "-C", str(sources), f"OUT={tmp_path}", "fuzz"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    done = run(tmp_path / builds.KINDS["fuzz"], tmp_path, RUNS, 1)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
