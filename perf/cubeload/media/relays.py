"""The relays that are compared: cubeproxy's workers and rtpengine, each with its calls set up and ready."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil

from cubeload.media.ng import Rtpengine
from cubeload.media.plan import CORE, PHONES, CallPlan, MediaLoad, fresh_key
from cubeload.media.seam import Worker
from cubeproxy.protocols.values import Address

ACCESS_HOST, CORE_HOST = "127.0.61.1", "127.0.61.2"
FIRST_PORT, LAST_PORT = 10_000, 59_999
PHASES = ("access", "core")


class Relay(Protocol):
    """Made for a load, with all its calls; `pid` is what its CPU time is read from."""

    pid: int
    calls: list[CallPlan]

    def close(self) -> None: ...


class Cubeproxy:
    """A media worker of ours: the program, or the module of the Python one."""

    def __init__(self, command: tuple[str, ...], load: MediaLoad) -> None:
        self._worker = Worker(command, load.calls)
        self.pid = self._worker.process.pid
        self.calls = [self._call(number, load) for number in range(load.calls)]
        self._worker.barrier()

    def _call(self, number: int, load: MediaLoad) -> CallPlan:
        port = FIRST_PORT + 2 * number
        sockets = [_bound((host, port + rtcp)) for host in (ACCESS_HOST, CORE_HOST) for rtcp in (0, 1)]
        phone_key, relay_key = fresh_key(load.suite), fresh_key(load.suite)
        self._worker.open(number + 1, number, sockets)
        self._worker.update(number + 1, (PHONES, relay_key, phone_key), (CORE, None, None))
        return CallPlan(phone_key, relay_key, (ACCESS_HOST, port), (CORE_HOST, port))

    def close(self) -> None:
        self._worker.close()


class OfRtpengine:
    """rtpengine with one thread for media: more of them on one core change nothing."""

    def __init__(self, load: MediaLoad) -> None:
        self._engine = Rtpengine(ACCESS_HOST, CORE_HOST, (FIRST_PORT, LAST_PORT))
        self.pid = self._engine.process.pid
        self.calls = []
        for number in range(load.calls):
            key = fresh_key(load.suite)
            access, core, relay_key = self._engine.call(number, PHONES, CORE, key)
            self.calls.append(CallPlan(key, relay_key, access, core))

    def close(self) -> None:
        self._engine.close()


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(address)
    return sock


def relays(program: Path | None) -> dict[str, Callable[[MediaLoad], Relay]]:
    """Who can be measured here, by name."""
    known: dict[str, Callable[[MediaLoad], Relay]] = {}
    if program:
        for backend in ("io_uring", "epoll"):
            command = (str(program), "--backend", backend)
            if subprocess.run([*command, "--check"], capture_output=True, check=False).returncode == 0:
                known[backend] = lambda load, command=command: Cubeproxy(command, load)  # type: ignore[misc]
    known["rtpengine"] = OfRtpengine
    known["python"] = lambda load: Cubeproxy((sys.executable, "-P", "-m", "cubeproxy.media.worker"), load)
    return known


def alone_on(pid: int, core: int) -> None:
    """All threads of a process to one core, and before the machine's other programs where that is permitted.

    The kernel may weigh sessions, not processes, against each other (autogroup): the process must lead one.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-20")
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, [core])
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, thread.id, -20)


def cpu_seconds(pid: int) -> float:
    """Time on a processor of all threads, as the scheduler counts it in ns."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def resident(pid: int) -> int:
    """Octets of user memory of its own: anonymous pages."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024
