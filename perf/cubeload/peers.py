"""Other programs as marks, run as children beside ours."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

READY = 20.0  # s


def free_udp_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def sippy(host: str, port: int, core: str) -> Iterator[int]:
    """sippy's simple B2BUA from UDP `host:port` to UDP `core`; its logs are off. Its process id."""
    with tempfile.TemporaryDirectory(prefix="cubeload-") as folder:
        environment = {**os.environ, "SIPLOG_BEND": "none", "SIPLOG_LOGFILE_FILE": os.path.join(folder, "sip.log")}
        command = [sys.executable, "-m", "sippy.b2bua_simple", "-f", "-l", host, "-p", str(port), "-n", core]
        with open(os.path.join(folder, "out"), "wb") as out:
            child = subprocess.Popen(command, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            wait_udp(host, port, child)
            yield child.pid
        finally:
            end(child)


def wait_udp(host: str, port: int, child: subprocess.Popen[bytes]) -> None:
    """Until somebody is bound to the port, or the child ended."""
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{child.args!r} does not listen on {host}:{port}")


def end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(5)
