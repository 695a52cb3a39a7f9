"""The `cubelab` command as a user types it."""

from __future__ import annotations

import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from scapy.utils import rdpcap
from typer.testing import CliRunner

from cubelab.audio.codec import PCMU, payloads
from cubelab.audio.tones import tone
from cubelab.audio.wav import write_wav
from cubelab.capture.pcap import PcapWriter
from cubelab.cli.main import app
from cubelab.cli.parts import read_address, read_pairs, read_source
from cubelab.wire.tap import Datagram
from cubeproxy.protocols import rtp

CUBELAB = [sys.executable, "-m", "cubelab.cli.main"]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A cubelab command that serves; entered when it has said its first line."""
    process = subprocess.Popen([*CUBELAB, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        process.first = process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.rest = process.communicate(timeout=10)[0]


def test_a_phone_calls_the_clusters_number_and_hears_its_tone(tmp_path):
    node = f"127.52.{secrets.randbelow(250)}.11"
    heard = tmp_path / "heard.wav"
    with running("cucm", "--node", node, "--user", "1001=pw", "--endpoint", "3001=1480", "--direct") as cucm:
        assert "1 numbers" in cucm.first
        words = ["phone", "1001", "--proxy", node, "--password", "pw", "--transport", "UDP", "--access", "clear"]
        phone = [*CUBELAB, *words, "--host", "127.52.1.1", "--call", "3001", "--seconds", "1", "--record", str(heard)]
        result = subprocess.run(phone, capture_output=True, text=True, check=False, timeout=20)
        assert result.returncode == 0, result.stdout + result.stderr
        refused = subprocess.run(
            [*CUBELAB, *words[:4], "--password", "no", *words[6:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert "up: PCMU, plain RTP" in result.stdout
    assert re.search(r"heard 1480 Hz in (\d+) of \1 frames", result.stdout)
    assert heard.exists()
    assert (refused.returncode, "not registered: 401" in refused.stderr) == (1, True)
    assert "1001 registered" in cucm.rest
    assert "1001 unregistered" in cucm.rest
    assert " 1 calls, " in cucm.rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("words", [(), ("--call", "3001", "--seconds", "0")], ids=["waiting", "in a call"])
def test_a_phone_that_is_told_to_stop_hangs_up_and_unregisters(number, words):
    node = f"127.52.{secrets.randbelow(250)}.12"
    with running("cucm", "--node", node, "--user", "1001=pw", "--endpoint", "3001=1480", "--direct") as cucm:
        assert "1 numbers" in cucm.first
        line = ["phone", "1001", "--proxy", node, "--password", "pw", "--transport", "UDP", "--access", "clear"]
        with running(*line, "--host", "127.52.1.2", *words) as phone:
            assert "1001 registered" in phone.first
            if words:
                assert "up: PCMU" in phone.stdout.readline()
            phone.send_signal(number)
            assert phone.wait(10) == 0
        assert cucm.stdout.readline().startswith("1001 registered")
        assert cucm.stdout.readline() == "1001 unregistered\n"
    assert f", {1 if words else 0} calls, " in cucm.rest
    assert ("heard" in phone.rest) is bool(words)


def test_a_wire_forwards_and_writes_what_it_forwarded(tmp_path):
    host, capture = f"127.53.{secrets.randbelow(250)}.1", tmp_path / "w.pcap"
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.53.0.2", 0)), two.bind(("127.53.0.3", 0))
        two.settimeout(5)
        ends = "=".join("{}:{}".format(*end.getsockname()) for end in (one, two))
        with running("wire", "--host", host, "--link", f"30000={ends}", "--pcap", str(capture)) as wire:
            assert f"{host}:30000 joins" in wire.first
            for number in range(5):
                one.sendto(bytes([number]), (host, 30000))
                assert two.recv(100) == bytes([number])
    assert "forwarded 5, lost 0" in wire.rest
    assert len(rdpcap(str(capture))) == 5


@pytest.mark.parametrize(("said", "code", "word"), [(440, 0, "heard"), (500, 1, "noise")])
def test_eavesdropping_on_a_file_says_what_it_holds(tmp_path, said, code, word):
    with PcapWriter(tmp_path / "a.pcap") as writer:
        for n, payload in enumerate(payloads(tone(said, 1), PCMU)):
            packet = rtp.build(0, n, n * 160, 1, payload)
            writer.write(Datagram(time.time(), ("127.0.0.1", 1), ("127.0.0.2", 2), packet))
    result = CliRunner().invoke(
        app, ["eavesdrop", str(tmp_path / "a.pcap"), "--out", str(tmp_path / "w"), "--tone", "440"]
    )
    assert (result.exit_code, word in result.output) == (code, True)
    assert len(list((tmp_path / "w").glob("*.wav"))) == 1


def test_words_of_the_command_line(tmp_path: Path):
    assert read_address("127.0.0.1:5070") == ("127.0.0.1", 5070)
    assert read_address("127.0.0.1", 5061) == ("127.0.0.1", 5061)
    assert read_pairs(["1=a", "2=b=c"]) == {"1": "a", "2": "b=c"}
    write_wav(tmp_path / "a.wav", tone(440, 0.1))
    assert (read_source(""), read_source("440")) == (None, 440)
    assert read_source(str(tmp_path / "a.wav")) == tone(440, 0.1)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_address, "h:99999"),
        (read_address, ":1"),
        (read_address, "h:²"),
        (read_pairs, ["x"]),
        (read_source, "/no/file"),
    ],
)
def test_bad_words_are_refused(read, text):
    with pytest.raises(typer.BadParameter):
        read(text)
