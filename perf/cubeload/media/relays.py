"""The relays that are compared: cubeproxy's workers, rtpengine and the floor, each with its calls set up and ready."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from cubeload.media import plan
from cubeload.media.ng import Rtpengine
from cubeload.media.plan import CallPlan, core_address, fresh_key, phone_address
from cubeload.media.seam import Worker
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import Address

ACCESS_HOST, CORE_HOST = "127.0.61.1", "127.0.61.2"
FIRST_PORT, LAST_PORT = 10_000, 59_999
FLOOR = "floor"


class Relay(Protocol):
    """Made for calls, and all of them set up; `pid` is what its CPU time is read from."""

    pid: int
    empty: int  # octets of its own memory before the first call
    calls: list[CallPlan]

    def close(self) -> None: ...


class Cubeproxy:
    """A media worker of ours: the program, or the module of the Python one."""

    def __init__(self, command: tuple[str, ...], keys: Sequence[MasterKey]) -> None:
        self._worker = Worker(command, len(keys))
        self.pid = self._worker.process.pid
        self.empty = resident(self.pid)
        try:
            self.calls = [self._call(number, key) for number, key in enumerate(keys)]
            self._worker.barrier()
        except BaseException:  # left alone, a worker would go on with the calls that it has
            self._worker.close()
            raise

    def _call(self, number: int, phone_key: MasterKey) -> CallPlan:
        port = FIRST_PORT + 2 * number
        sockets = [_bound((host, port + rtcp)) for host in (ACCESS_HOST, CORE_HOST) for rtcp in (0, 1)]
        relay_key = fresh_key(phone_key.suite)
        self._worker.open(number + 1, number, sockets)
        self._worker.update(
            number + 1, (phone_address(number), relay_key, phone_key), (core_address(number), None, None)
        )
        return CallPlan((ACCESS_HOST, port), (CORE_HOST, port), relay_key)

    def close(self) -> None:
        self._worker.close()


class OfRtpengine:
    """rtpengine with one thread for media: more of them on one core change nothing."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        self._engine = Rtpengine(ACCESS_HOST, CORE_HOST, (FIRST_PORT, LAST_PORT))
        self.pid = self._engine.process.pid
        self.empty = resident(self.pid)
        try:
            self.calls = [self._call(number, key) for number, key in enumerate(keys)]
        except BaseException:  # left alone, it would answer in the place of the next one
            self._engine.close()
            raise

    def _call(self, number: int, phone_key: MasterKey) -> CallPlan:
        return CallPlan(*self._engine.call(number, phone_address(number), core_address(number), phone_key))

    def close(self) -> None:
        self._engine.close()


class Floor:
    """Sockets alone: what comes is sent on as it is, and phones speak in clear."""

    def __init__(self, program: Path, calls: int) -> None:
        peers = [plan.PHONES_HOST, plan.CORE_HOST, str(plan.FIRST_PORT)]
        self._process = subprocess.Popen(
            [str(program), str(calls), ACCESS_HOST, CORE_HOST, str(FIRST_PORT), *peers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout
        if not self._process.stdout.readline():
            raise RuntimeError("the floor does not start")
        self.pid = self._process.pid
        self.empty = resident(self.pid)
        ports = range(FIRST_PORT, FIRST_PORT + 2 * calls, 2)
        self.calls = [CallPlan((ACCESS_HOST, port), (CORE_HOST, port), None) for port in ports]

    def close(self) -> None:
        self._process.communicate(timeout=10)


def _bound(address: Address) -> socket.socket:
    """The kernel gives up the sockets of an io_uring a moment after the process that had it is gone."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    for _ in range(200):
        with contextlib.suppress(OSError):
            sock.bind(address)
            return sock
        time.sleep(0.01)
    sock.bind(address)
    return sock


def relays(worker: Path | None, floor: Path) -> dict[str, Callable[[Sequence[MasterKey]], Relay]]:
    """Who can be measured here, by name. Each is made with the phones' keys, one for each call."""
    known: dict[str, Callable[[Sequence[MasterKey]], Relay]] = {}
    if worker:
        for backend in ("io_uring", "epoll"):
            command = (str(worker), "--backend", backend)
            if subprocess.run([*command, "--check"], capture_output=True, check=False).returncode == 0:
                known[backend] = lambda keys, command=command: Cubeproxy(command, keys)  # type: ignore[misc]
    known["rtpengine"] = OfRtpengine
    known["python"] = lambda keys: Cubeproxy((sys.executable, "-P", "-m", "cubeproxy.media.worker"), keys)
    known[FLOOR] = lambda keys: Floor(floor, len(keys))
    return known


def alone_on(pid: int, core: int, *, realtime: bool = False) -> None:
    """All threads of a process to one core, and before the machine's other programs where that is permitted.

    The kernel may weigh sessions, not processes, against each other (autogroup): the process must lead one. Real-time
    priority keeps other programs away altogether, but the kernel stops such a thread for 50 ms when it has had 95 %
    of a second: it fits no relay that is to be loaded to its limit, and no generator that never sleeps.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-20")
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, [core])
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, thread.id, -20)
            if realtime:
                os.sched_setscheduler(thread.id, os.SCHED_RR, os.sched_param(1))


def resident(pid: int) -> int:
    """Octets of user memory of its own: anonymous pages."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024
