"""What stays when signalling is killed: the audio, until the lease or the calls end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cubeproxy.protocols.values import Address
from tests.media.phones import key

from .media_lab import Station, exchange, gone


class Held:
    """A killed signalling process' call."""

    def __init__(self, stations: tuple[Station, Station], answer: dict[str, Any]) -> None:
        self.stations = stations
        (self.worker,) = answer["workers"]
        self.local: list[Address] = [(host, port) for host, port in answer.get("local", [])]

    def talk(self, packets: int) -> None:
        exchange(self.stations, (self.local[0], self.local[1]), packets)


@contextmanager
def signalling_killed(root: Path, *, call: bool = True, lease: float = 60.0, idle: float = 60.0) -> Iterator[Held]:
    """A signalling process with a call in progress, killed with SIGKILL while it talks."""
    stations = (Station("127.0.41.3", key(1), key(2)), Station("127.0.41.4"))
    order = {
        "first": 22000,
        "last": 22999,
        "lease": lease,
        "idle": idle,
        "call": call,
        "phones": [station.address for station in stations],
    }
    command = [sys.executable, "-m", "tests.server.media_holder"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        held = Held(stations, json.loads(process.stdout.readline()))
        try:
            if call:
                held.talk(5)
            process.send_signal(signal.SIGKILL)
            process.wait()
            yield held
        finally:
            if not gone(held.worker, within=0.0):
                os.kill(held.worker, signal.SIGKILL)
            for station in stations:
                station.close()


def test_audio_goes_on_both_ways_and_none_is_lost(root: Path) -> None:
    with signalling_killed(root) as held:
        held.talk(300)


def test_the_worker_ends_when_its_lease_does(root: Path) -> None:
    with signalling_killed(root, lease=1.5) as held:
        held.talk(20)
        assert gone(held.worker)


def test_the_lease_is_what_ends_it(root: Path) -> None:
    with signalling_killed(root, lease=60.0) as held:
        assert not gone(held.worker, within=2.0)
        held.talk(1)


def test_a_worker_without_calls_ends_at_once(root: Path) -> None:
    with signalling_killed(root, call=False) as held:
        assert gone(held.worker)


def test_a_worker_whose_calls_have_gone_silent_ends(root: Path) -> None:
    with signalling_killed(root, idle=1.0) as held:
        assert gone(held.worker)


def test_an_orphan_obeys_a_service_manager(root: Path) -> None:
    with signalling_killed(root) as held:
        held.talk(1)
        os.kill(held.worker, signal.SIGTERM)
        assert gone(held.worker)


def test_packets_sent_while_nobody_reads_are_not_lost(root: Path) -> None:
    """Sent in one burst around the death of signalling, they all come out in order."""
    with signalling_killed(root) as held:
        access, core = held.stations
        for number in range(100):
            access.send(held.local[0], number.to_bytes(4, "big"))
        assert [int.from_bytes(core.receive().payload, "big") for _ in range(100)] == list(range(100))


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGHUP])
def test_an_orphan_ignores_the_terminal(root: Path, signal_number: signal.Signals) -> None:
    with signalling_killed(root) as held:
        os.kill(held.worker, signal_number)
        held.talk(3)
