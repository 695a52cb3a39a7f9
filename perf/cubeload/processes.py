"""CPU time and memory of a program and all that it started, as the kernel counts them (psutil)."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

CORES = sorted(os.sched_getaffinity(0))  # before anybody is pinned


@dataclass(slots=True)
class Usage:
    """What processes have used so far. Ended children are not in it."""

    at: float  # s, monotonic
    cpu: float  # s, user and system
    rss: int  # octets, the sum over the processes: pages that they share count twice

    def since(self, before: Usage) -> Usage:
        return Usage(self.at - before.at, self.cpu - before.cpu, self.rss - before.rss)


@dataclass(slots=True)
class Split:
    """A program's signalling process, its other processes, and all the rest of the machine but ourselves."""

    signalling: Usage
    media: Usage
    others: float  # s of CPU

    def since(self, before: Split) -> Split:
        return Split(
            self.signalling.since(before.signalling), self.media.since(before.media), self.others - before.others
        )


def usage(pid: int) -> Usage:
    """Of a process and its descendants."""
    return _sum(tree(pid))


def split(pid: int) -> Split:
    processes = tree(pid)
    signalling, media = _sum(processes[:1]), _sum(processes[1:])
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice
    return Split(signalling, media, busy - signalling.cpu - media.cpu - own.user - own.system)


def rss(pid: int) -> int:
    """Octets in memory of this one process."""
    return int(psutil.Process(pid).memory_info().rss)


def _sum(processes: list[psutil.Process]) -> Usage:
    cpu, held = 0.0, 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            cpu += times.user + times.system
            held += process.memory_info().rss
    return Usage(time.monotonic(), cpu, held)


def tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def pin(pid: int, core: int) -> None:
    """Keeps a process tree on one core, so that a figure per core means one; a no-op on a single-core machine."""
    if len(CORES) > 1:
        for process in tree(pid):
            process.cpu_affinity([CORES[core % len(CORES)]])


def more_descriptors() -> None:
    """As many open files as we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def machine() -> dict[str, object]:
    """What a result must name to be compared."""
    model = "unknown"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    uname = os.uname()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": uname.release,
        "python_loop_ms": python_loop(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def python_loop() -> float:
    """CPU time in ms of a fixed piece of work, the best of three: tells a busy or slow machine from a quiet one."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for number in range(1_000_000):
            _ = number * number
        best = min(best, time.process_time() - began)
    return round(1000 * best, 1)
