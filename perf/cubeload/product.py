"""cubeproxy under load, as its user starts it: `cubeproxy run` with a shipped sample and the lab's certificates.

The core side of the sample is turned to UDP, as the marks have it; nothing else of the text decides what is measured.
Addresses are loopback ones that a run picks for itself, so that several can run on one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cubelab import data
from cubelab.pki.lab import init_lab
from cubeload.links import ClientTls
from cubeload.peers import end
from cubeload.systems import Phone, System

SIP, SIPS = 5060, 5061
READY = 20.0  # s
PORTS = "rtp-port range 8000 48198"  # the vendor's widest: a port rests for 10 s, which the default range cannot bear
SAMPLE = "sample-a-xe.ios"
COMPILED = "CUBELOAD_COMPILED"  # the Python of an environment with the message path compiled by mypyc
WORDS = {"192.0.2.1": "access", "198.51.100.1": "core", "198.51.100.11": "publisher", "198.51.100.12": "subscriber"}


@dataclass(slots=True)
class Lab:
    """Certificates and addresses of one benchmark run; `phones` each have a certificate and an address of their own."""

    folder: Path
    hosts: dict[str, str]  # by the words above
    phones: list[Phone]


def make_lab(folder: Path, phones: int) -> Lab:
    """Issues certificates for so many phones (a few ms each)."""
    net = f"127.{secrets.randbelow(60) + 192}.{secrets.randbelow(200)}"
    hosts = {word: f"{net}.{number}" for number, word in enumerate(WORDS.values(), 1)}
    devices = [f"SEP00BE{number:08X}" for number in range(phones)]
    nodes = {"pub": (hosts["publisher"],), "sub": (hosts["subscriber"],)}
    init_lab(folder, devices=devices, nodes=nodes, cube=(hosts["access"], hosts["core"]))
    first = net.rpartition(".")[0]
    trust = folder / "CUBE_SS" / "cert.pem"
    made = []
    for number, device in enumerate(devices):
        own = folder / "phones" / device
        upper, lower = divmod(number, 250)
        tls = ClientTls(own / "cert.pem", own / "key.pem", trust)
        made.append(Phone(str(1000 + number), f"{first}.{200 + upper}.{lower + 1}", tls))
    return Lab(folder, hosts, made)


def configuration() -> str:
    """The sample for IOS XE: phones by TLS with SRTP, the cluster by UDP with RTP."""
    text = data.config(SAMPLE).read_text()
    for old, new in ((" session transport tcp\n", " session transport udp\n"), ("voice service voip\n", None)):
        changed = text.replace(old, new or f"{old} {PORTS}\n")
        if changed == text:
            raise RuntimeError(f"{SAMPLE} is no longer what the benchmark was written for: no {old!r}")
        text = changed
    return text


def interpreters() -> dict[str, str]:
    """Which builds of the product there are: this one, and the one that `make compiled` made, by its Python."""
    compiled = os.environ.get(COMPILED, "")
    return {"cubeproxy": sys.executable} | ({"cubeproxy, compiled": compiled} if compiled else {})


@contextlib.contextmanager
def proxy_system(lab: Lab, phones: Sequence[Phone] | None = None, build: str = "cubeproxy") -> Iterator[System]:
    """A running proxy with one media worker, and who will call through it. `build` is one of `interpreters`."""
    name = f"run-{secrets.token_hex(4)}"
    config, log = lab.folder / f"{name}.ios", lab.folder / f"{name}.log"
    config.write_text(configuration())
    control = lab.folder / f"{name}.sock"
    metrics = (lab.hosts["access"], 9100 + secrets.randbelow(800))
    command = [interpreters()[build], "-P", "-m", "cubeproxy.cli.main", "run", str(config), "--nvram", str(lab.folder)]
    command += [word for old, new in WORDS.items() for word in ("--map", f"{old}={lab.hosts[new]}")]
    command += ["--control", str(control), "--metrics", f"{metrics[0]}:{metrics[1]}", "--drain", "0"]
    command += ["--device-rate", "0"]  # a few devices stand for many phones
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        _wait(child, control, log)
        yield System(
            name=build,
            path="TLS with client certificates and SDES to UDP, media sessions set up",
            pid=child.pid,
            enter=(lab.hosts["access"], SIPS),
            core=[(lab.hosts[node], SIP) for node in ("publisher", "subscriber")],
            domain=lab.hosts["access"],
            phones=list(lab.phones if phones is None else phones),
            secure=True,
            register=True,
            counted=lambda: connected(metrics),
            options={"log": str(log), "control": str(control)},
        )
    finally:
        end(child)


def connected(metrics: tuple[str, int]) -> int:
    """Calls that the proxy says it has connected, from its own metrics."""
    with urllib.request.urlopen(f"http://{metrics[0]}:{metrics[1]}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r"^cubeproxy_calls_connected_total ([0-9.e+]+)$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("the proxy's metrics do not say how many calls it connected")
    return round(float(found[1]))


def show(control: str, command: str) -> str:
    """A show command of the running proxy."""

    async def ask() -> str:
        reader, writer = await asyncio.open_unix_connection(control)
        writer.write(f"{command}\n".encode())
        text = await asyncio.wait_for(reader.read(-1), 10)
        writer.close()
        return text.decode()

    return asyncio.run(ask())


def _wait(child: subprocess.Popen[bytes], control: Path, log: Path) -> None:
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and child.poll() is None:
        if control.exists():
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise RuntimeError(f"cubeproxy did not come up (exit {child.poll()}): {' / '.join(said)}")
