"""What a soak measured, for `perf/results`: the CPU time of each process, and a page with the conditions.

A page is written by a soak that passed, so that the figures in the repository are those of a run that held its bounds.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "perf" / "results"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, its threads included (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Meter:
    """CPU time between `start` and `stop`, by what the processes are called on the page."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self.processes = dict(processes)
        self.spent: dict[str, float] = {}
        self.elapsed = 0.0  # s

    def start(self) -> None:
        self._before = {name: cpu_seconds(pid) for name, pid in self.processes.items()}
        self._began = time.monotonic()

    def stop(self) -> None:
        self.elapsed = time.monotonic() - self._began
        self.spent = {name: cpu_seconds(pid) - self._before[name] for name, pid in self.processes.items()}

    @property
    def rows(self) -> list[tuple[str, str]]:
        """A line for each process, and their sum: seconds, and cores."""
        lines = [*self.spent.items(), ("all together", sum(self.spent.values()))]
        return [(f"CPU, {name}", f"{spent:.1f} s, {spent / self.elapsed:.2f} cores") for name, spent in lines]


def machine() -> str:
    """Processor, cores, Python, and how busy the machine is, all of which decide what a figure means."""
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]  # fmt: skip
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    processor = names[0] if names else platform.machine()
    return f"{cores} cores ({processor}), Python {platform.python_version()}, load averages {busy}"


def write(name: str, title: str, command: str, text: str, rows: Sequence[tuple[str, str]]) -> Path:
    """`perf/results/<name>.md`. `text` says what was done; each of `rows` is a measured thing and its value."""
    now = datetime.now(UTC)
    body = [
        f"# {title}",
        "",
        f"`{command}` on {now:%Y-%m-%d}, {machine()} at the end.",
        "",
        text,
        "",
        "| | |",
        "| -- | -- |",
        *(f"| {what} | {value} |" for what, value in rows),
        "",
    ]
    path = RESULTS / f"{name}.md"
    path.write_text("\n".join(body))
    return path
