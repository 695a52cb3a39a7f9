"""Media relays side by side: the same encrypted streams through each in turn, everything checked."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cubeload.media.plan import MediaLoad, check_samples, write_plan
from cubeload.media.relays import alone_on, cpu_seconds, relays, resident

SOURCES = Path(__file__).resolve().parents[1] / "native"
ENGINE_SOURCES = Path(__file__).resolve().parents[3] / "cubeproxy" / "media" / "native"
MAX_LOSS = 0.001
MAX_P99 = 5000.0  # us


@dataclass(slots=True)
class Point:
    """One relay under one load, once."""

    relay: str
    calls: int
    suite: str
    cpu_us: float  # of the relay, per packet that it should have relayed
    cores: float  # share of a core while it was measured
    loss: float
    p50_us: float
    p99_us: float
    p999_us: float
    per_second: float  # packets relayed
    faults: int  # packets that were not what they should be
    lag_us: float  # the worst delay of the generator itself
    kib_a_call: float

    @property
    def passes(self) -> bool:
        return self.loss < MAX_LOSS and self.p99_us < MAX_P99 and not self.faults


def build(folder: Path) -> tuple[Path, Path | None]:
    """The generator and the native worker, of the sources as they are."""
    generator = folder / "mediaload"
    subprocess.run(
        [
            "cc",
            "-std=c11",
            "-D_GNU_SOURCE",
            *os.environ.get("CFLAGS", "-O2").split(),
            str(SOURCES / "mediaload.c"),
            "-o",
            str(generator),
        ],
        check=True,
    )
    worker = os.environ.get("CUBEPROXY_MEDIA_WORKER")
    if worker:
        return generator, Path(worker)
    subprocess.run(["make", "-s", "-C", str(ENGINE_SOURCES), f"OUT={folder}"], check=True)
    return generator, folder / "cubeproxy-media-worker"


def measure(name: str, load: MediaLoad, generator: Path, program: Path | None, folder: Path) -> Point:
    """Set up the calls, run the streams, end the relay."""
    cores = range(os.cpu_count() or 1)  # not those that this process keeps to
    relay = relays(program)[name](load)
    plan, samples = folder / "plan", folder / "samples"
    try:
        alone_on(relay.pid, cores[-1])
        write_plan(plan, load, relay.calls)
        command = [str(generator), str(plan), str(samples)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout
            alone_on(process.pid, cores[0])
            process.stdout.readline()  # warm
            before = cpu_seconds(relay.pid)
            process.stdout.readline()  # all is sent
            used = cpu_seconds(relay.pid) - before
            memory = resident(relay.pid)
            result = json.loads(process.stdout.readlines()[-1])
        packets, faults = check_samples(samples, relay.calls)
        assert packets, "nothing came back to the phones"
    finally:
        relay.close()
        plan.unlink(missing_ok=True)
    return Point(
        name,
        load.calls,
        load.suite.value,
        round(used * 1e6 / result["expected"], 2),
        round(used / load.seconds, 2),
        result["loss"],
        result["p50_us"],
        result["p99_us"],
        result["p999_us"],
        round(result["arrived"] / load.seconds),
        faults + result["wrong"] + result["strange"] + result["repeated"],
        result["lag_us"],
        round(memory / 1024 / load.calls, 1),
    )


def compare(
    names: Sequence[str], loads: Sequence[MediaLoad], rounds: int, tell: Callable[[Point], None] = print
) -> list[Point]:
    """Every relay under every load, in turns; `rounds` times."""
    folder = Path(tempfile.mkdtemp(prefix="cubeload-media-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        generator, program = build(folder)
        points = []
        for number in range(rounds):
            for load in loads:
                for name in names if number % 2 == 0 else list(reversed(names)):
                    points.append(measure(name, load, generator, program, folder))
                    tell(points[-1])
        return points
    finally:
        shutil.rmtree(folder)


def medians(points: Sequence[Point]) -> list[dict[str, object]]:
    """One row for each relay and load."""
    rows = []
    for key in dict.fromkeys((point.suite, point.calls, point.relay) for point in points):
        group = [point for point in points if (point.suite, point.calls, point.relay) == key]
        row: dict[str, object] = {"suite": key[0], "calls": key[1], "relay": key[2], "runs": len(group)}
        row["passed"] = sum(point.passes for point in group)
        for field in ("cpu_us", "cores", "loss", "p50_us", "p99_us", "p999_us", "per_second", "kib_a_call", "lag_us"):
            row[field] = statistics.median(getattr(point, field) for point in group)
        row["faults"] = sum(point.faults for point in group)
        rows.append(row)
    return rows
