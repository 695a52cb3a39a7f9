"""CPU time and memory of a child and all that it started, as the kernel counts them (psutil)."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(slots=True)
class Usage:
    """What a process tree has used so far. Ended children are not in it."""

    at: float  # s, monotonic
    cpu: float  # s, user and system
    rss: int  # octets, the sum over the processes: pages that they share count twice

    def since(self, before: Usage) -> Usage:
        return Usage(self.at - before.at, self.cpu - before.cpu, self.rss - before.rss)


def usage(pid: int) -> Usage:
    cpu, rss = 0.0, 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            cpu += times.user + times.system
            rss += process.memory_info().rss
    return Usage(time.monotonic(), cpu, rss)


def tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def pin(pid: int, core: int) -> None:
    """Keeps a process tree on one core, so that a figure per core means one; a no-op on a single-core machine."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        for process in tree(pid):
            process.cpu_affinity([cores[core % len(cores)]])


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
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }
