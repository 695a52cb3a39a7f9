"""What a connection costs, read from the kernel's books of a process that does nothing else.

The marks: stock asyncio TLS takes some 300 kB for a connection that never says anything.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .pki import PHONE
from .weighed import allow_descriptors

SILENT_GOAL = 8.0  # kB a connection
ESTABLISHED_GOAL = 64.0
WARM, SILENT, ESTABLISHED = 500, 2000, 500  # connections; the warm ones fill what the heap has free


class Weighed:
    """The listener's process."""

    def __init__(self, loop: str, *more: str) -> None:
        allow_descriptors(4096)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.transport.weighed", loop, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        self.address = ("127.0.42.1", int(self.process.stdout.readline()))

    def ask(self) -> tuple[int, int, int, int]:
        """kB, half-open, established, accepted."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("rss\n")
        self.process.stdin.flush()
        memory, half_open, established, accepted = map(int, self.process.stdout.readline().split())
        return memory, half_open, established, accepted

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def until(self, half_open: int, established: int) -> int:
        """The memory once that many connections have arrived where they should."""
        for _ in range(2000):
            memory, is_half_open, is_established, _ = self.ask()
            if (is_half_open, is_established) == (half_open, established):
                return memory
        raise AssertionError(f"{is_half_open} half-open, {is_established} established")


@pytest.fixture(params=["asyncio", "uvloop"])
def weighed(request: pytest.FixtureRequest) -> Iterator[Weighed]:
    process = Weighed(request.param)
    yield process
    process.process.terminate()
    process.process.communicate()


def silent(weighed: Weighed, count: int, hello: bytes = b"") -> list[socket.socket]:
    connections = []
    for _ in range(count):
        connection = socket.create_connection(weighed.address)
        if hello:
            connection.send(hello)
        connections.append(connection)
    return connections


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00" + bytes(300)], ids=["silent", "partial ClientHello"])
def test_a_silent_connection_costs_a_few_kilobytes(weighed: Weighed, hello: bytes) -> None:
    warm = silent(weighed, WARM, hello)
    before = weighed.until(WARM, 0)
    connections = silent(weighed, SILENT, hello)
    each = (weighed.until(WARM + SILENT, 0) - before) / SILENT
    print(f"{each:.1f} kB a connection")
    assert each <= SILENT_GOAL
    for connection in connections:
        connection.close()
    weighed.until(WARM, 0)
    for connection in warm:
        connection.close()


def test_an_idle_tls_connection_costs_less_than_a_phone_may(weighed: Weighed, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(*PHONE.files(tmp_path, "phone"))
    connections = []
    before = 0
    for number in range(ESTABLISHED):
        if number == 100:
            before = weighed.until(0, 100)
        connections.append(context.wrap_socket(socket.create_connection(weighed.address)))
    each = (weighed.until(0, ESTABLISHED) - before) / (ESTABLISHED - 100)
    print(f"{each:.1f} kB a connection")
    assert each <= ESTABLISHED_GOAL
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_without_descriptors_the_loop_rests_and_recovers(loop: str) -> None:
    """256 open files, 300 clients: nobody is lost, nothing spins, and who waited is served when others leave."""
    weighed = Weighed(loop, "256")
    clients = silent(weighed, 300)
    _, held, _, _ = weighed.ask()
    while (now := weighed.ask()[1]) != held or now < 200:
        held = now
    assert 200 < held < 256
    before, began = weighed.cpu(), time.monotonic()
    time.sleep(1.2)  # a stretch of time to measure over
    assert (weighed.cpu() - before) / (time.monotonic() - began) <= 0.2
    for client in clients[:200]:
        client.close()
    began = time.monotonic()
    weighed.until(100, 0)
    assert time.monotonic() - began <= 2
    for client in clients:
        client.close()
    weighed.process.terminate()
    weighed.process.communicate()
