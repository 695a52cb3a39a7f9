"""The product as a system under load: the shipped sample for IOS XE, its core side on UDP, certificates of the lab."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cubelab.data import config
from cubelab.pki.lab import DEVICES, Lab, init_lab
from cubeload.links import ClientTls
from cubeload.measure import System
from cubeload.peers import end

READY = 20.0  # s
SIP, SIPS = 5060, 5061
PHONES = 20
FIRST_NUMBER = 1000


@contextlib.contextmanager
def cubeproxy_system(phones: int = PHONES, options: tuple[str, ...] = ()) -> Iterator[System]:
    """TLS with a client certificate and SDES outside, UDP and RTP inside, media set up for each call."""
    access, core, publisher, subscriber = (f"127.{100 + os.getpid() % 100}.77.{host}" for host in (1, 2, 3, 4))
    with tempfile.TemporaryDirectory(prefix="cubeload-") as name:
        folder = Path(name)
        nodes = {"pub": (publisher,), "sub": (subscriber,)}
        lab = init_lab(folder / "nvram", nodes=nodes, cube=(access, core))
        text = config("sample-a-xe.ios").read_text().replace(" session transport tcp\n", " session transport udp\n")
        (folder / "running-config.ios").write_text(text)
        places = {"192.0.2.1": access, "198.51.100.1": core, "198.51.100.11": publisher, "198.51.100.12": subscriber}
        command = [str(Path(sys.executable).parent / "cubeproxy"), "run", str(folder / "running-config.ios")]
        command += ["--nvram", str(folder / "nvram"), *options]
        for old, new in places.items():
            command += ["--map", f"{old}={new}"]
        with (folder / "out").open("wb") as out:
            child = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            _wait(child, (access, SIPS), folder / "out")
            yield _system(child.pid, lab, (access, SIPS), (publisher, SIP), phones)
        finally:
            end(child)


def _wait(child: subprocess.Popen[bytes], where: tuple[str, int], log: Path) -> None:
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(where, 1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"cubeproxy does not listen on {where}:\n{log.read_text()}")


def _system(pid: int, lab: Lab, enter: tuple[str, int], core: tuple[str, int], phones: int) -> System:
    """All numbers belong to the lab's devices in turn; each has a connection of its own."""
    identities = [lab.phones[DEVICES[index % len(DEVICES)]] for index in range(phones)]
    return System(
        name="cubeproxy",
        pid=pid,
        enter=enter,
        core=core,
        domain=f"{enter[0]}:{enter[1]}",
        tls=[ClientTls(each.certificate, each.key) for each in identities],
        secure=True,
        users=[str(FIRST_NUMBER + index) for index in range(phones)],
        register=True,
    )
