"""Two hundred phones register over mutual TLS and place five hundred calls with SRTP to a SIPp core, none fails."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from cubelab.pki.lab import init_lab
from tests.interop.border_lab import PASSWORD, SIP, SIPS, UDP, BorderLab, Places
from tests.interop.phone_load import Load, Report
from tests.interop.programs.addresses import Addresses
from tests.interop.programs.process import running, until
from tests.interop.programs.sipp import Sipp

PHONES, CALLS, RATE, HOLD = 200, 500, 20.0, 2.0
LIMIT = 150  # s


def test_two_hundred_phones_and_five_hundred_calls(folder: Path, root: Path, addresses: Addresses) -> None:
    places = Places(*(addresses.take() for _ in range(4)))
    devices = [f"SEP0011AA{number:06X}" for number in range(PHONES)]
    nodes = {"pub": (places.publisher,), "sub": (places.subscriber,)}
    pki = init_lab(folder / "pki", devices=devices, nodes=nodes, cube=(places.access, places.core))
    lab = BorderLab(places, pki, folder, UDP)
    load = Load(
        proxy=(places.access, SIPS),
        devices=devices,
        hosts=addresses.take_many(PHONES),
        phones=str(folder / "pki" / "phones"),
        trust=str(lab.authority),
        password=PASSWORD,
        number="2001",
        calls=CALLS,
        rate=RATE,
        hold=HOLD,
    )
    core, proxy = Sipp(folder / "core", places.publisher, port=SIP), lab.proxy()
    with running(core, proxy):
        report = place(load, root)
        until("SIPp ended each call", lambda: core.counts.successful >= PHONES + CALLS, log=core.log)
    assert report.failures == {}
    assert (report.registered, report.completed) == (PHONES, CALLS)
    assert core.counts.failed == 0
    assert report.packets_refused == 0
    assert report.quietest >= 0.8 * HOLD / 0.02  # SIPp echoes: each call heard itself
    assert report.packets_heard >= 0.95 * report.packets_sent


def place(load: Load, root: Path) -> Report:
    command = [sys.executable, "-m", "tests.interop.phone_load", json.dumps(asdict(load))]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return Report(**json.loads(done.stdout))
