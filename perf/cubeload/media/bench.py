"""Media relays side by side: the same encrypted streams through each in turn, everything checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cubeload.media.plan import MediaLoad, Streams, check_samples, fresh_key, write_plan, write_streams
from cubeload.media.relays import FLOOR, alone_on, relays, resident
from cubeproxy.protocols.suites import MasterKey, Suite

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
    cpu_us: float  # of the relay, per packet that it relayed
    cores: float  # share of a core while it was measured
    loss: float
    p50_us: float
    p99_us: float
    p999_us: float
    per_second: float  # packets relayed while packets were counted
    timely: float  # of them, those that came within 5 ms
    reordered: int
    reports: int  # RTCP packets that came to phones and core
    faults: int  # packets that were not what they should be
    lag_us: float  # the generator: its worst delay,
    late: float  # packets that it sent more than 250 us late,
    busy: float  # and the share of its core that it needed
    kib_a_call: float  # memory of its own beyond what the relay has without calls

    @property
    def passes(self) -> bool:
        return self.loss < MAX_LOSS and self.p99_us < MAX_P99 and not self.faults


@dataclass(slots=True)
class Programs:
    """What was built for a comparison."""

    generator: Path
    floor: Path
    worker: Path | None


def build(folder: Path) -> Programs:
    """The generator, the floor and the native worker, of the sources as they are."""
    flags = ["-std=c11", "-D_GNU_SOURCE", *os.environ.get("CFLAGS", "-O2").split()]
    for name in ("mediaload", "mediafloor"):
        subprocess.run(["cc", *flags, str(SOURCES / f"{name}.c"), "-o", str(folder / name)], check=True)
    worker = os.environ.get("CUBEPROXY_MEDIA_WORKER")
    if not worker:
        subprocess.run(["make", "-s", "-C", str(ENGINE_SOURCES), f"OUT={folder}"], check=True)
    return Programs(folder / "mediaload", folder / "mediafloor", Path(worker or folder / "cubeproxy-media-worker"))


class Bench:
    """A folder with programs and streams; a suite's streams are encrypted once, for the most calls of all loads."""

    def __init__(self, folder: Path, loads: Sequence[MediaLoad], *, realtime: bool = False) -> None:
        self._folder, self._realtime = folder, realtime
        self._programs = build(folder)
        self.relays = relays(self._programs.worker, self._programs.floor)
        self._most = max(load.calls for load in loads)
        self._streams: dict[Suite | None, Streams] = {}

    def measure(self, name: str, load: MediaLoad) -> Point:
        """Set up the calls, run the streams, end the relay."""
        streams = self._streams_of(load, None if name == FLOOR else load.suite)
        keys: list[MasterKey] = streams.keys or [fresh_key(load.suite)] * load.calls
        relay = self.relays[name](keys[: load.calls])
        try:
            alone_on(relay.pid, (os.cpu_count() or 1) - 1, realtime=self._realtime)
            plan, samples = self._folder / "plan", self._folder / "samples"
            write_plan(plan, load, relay.calls)
            found = self._generate(plan, streams.path, samples, relay.pid)
            memory = resident(relay.pid) - relay.empty
            packets, faults = check_samples(samples, relay.calls)
            if not packets:
                raise RuntimeError("nothing came back to the phones")
        finally:
            relay.close()
        return _point(name, load, found, faults, memory)

    def _streams_of(self, load: MediaLoad, suite: Suite | None) -> Streams:
        if suite not in self._streams:
            most = replace(load, calls=self._most)
            keys = [fresh_key(suite) for _ in range(most.calls)] if suite else None
            self._streams[suite] = write_streams(self._folder / f"streams-{suite}", most, keys)
        return self._streams[suite]

    def _generate(self, plan: Path, streams: Path, samples: Path, relay: int) -> dict[str, Any]:
        command = [str(self._programs.generator), str(plan), str(streams), str(samples), str(relay)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            alone_on(process.pid, 0)
            text, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the generator ended with {process.returncode}")
        found: dict[str, Any] = json.loads(text)
        return found


def _point(name: str, load: MediaLoad, found: dict[str, Any], faults: int, memory: int) -> Point:
    return Point(
        relay=name,
        calls=load.calls,
        suite=load.suite.value,
        cpu_us=round(found["cpu_s"] * 1e6 / max(1.0, found["per_second"] * load.seconds), 2),
        cores=round(found["cpu_s"] / load.seconds, 2),
        loss=round(1 - found["arrived"] / found["expected"], 6),
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        p999_us=found["p999_us"],
        per_second=found["per_second"],
        timely=found["timely"],
        reordered=found["overtaken"],
        reports=found["reports"],
        faults=faults + found["wrong"] + found["strange"] + found["repeated"],
        lag_us=found["lag_us"],
        late=found["late"],
        busy=found["busy"],
        kib_a_call=round(memory / 1024 / load.calls, 1),
    )


@dataclass(slots=True)
class Contender:
    """A relay, and at which numbers of calls it is measured."""

    name: str
    least: int = 0
    most: int = 1_000_000


def compare(
    contenders: Sequence[Contender],
    loads: Sequence[MediaLoad],
    rounds: int,
    tell: Callable[[Point], None] = print,
    *,
    realtime: bool = False,
) -> list[Point]:
    """Every relay under every load that it is measured at, in turns; `rounds` times, each with other phases."""
    folder = Path(tempfile.mkdtemp(prefix="cubeload-media-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        bench = Bench(folder, loads, realtime=realtime)
        points = []
        for number in range(rounds):
            for load in loads:
                names = [each.name for each in contenders if each.least <= load.calls <= each.most]
                for name in names if number % 2 == 0 else list(reversed(names)):
                    points.append(bench.measure(name, replace(load, seed=number + 1)))
                    tell(points[-1])
        return points
    finally:
        shutil.rmtree(folder)
