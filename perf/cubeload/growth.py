"""Whether memory grows with the number of calls that are over.

A first load fills pools and caches and is let go; then the measured calls run at a steady pace, memory being read every
second; then everything is let go again. What is held for 64*T1 after a call by RFC 3261 and RFC 6026 is no growth,
so both rests are longer than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from cubeload.measure import Loaded
from cubeload.processes import rss, tree
from cubeload.systems import System

REST = 36.0  # s; 64*T1 is 32 s
EVERY = 1.0  # s


@dataclass(slots=True)
class Sample:
    at: float  # s since the first measured call
    calls: int  # that are over
    signalling: int  # octets
    media: int


@dataclass(slots=True)
class Growth:
    """`left_...` is what stayed after the rest; `slope_...` is Theil-Sen's over the calls, its first third left out."""

    system: str
    rate: float
    before: int  # calls of the first load
    calls: int
    failed: int
    counted_by_system: int | None
    rss_before_MiB: float
    rss_peak_MiB: float
    rss_after_MiB: float
    left_kB_per_1000_calls: float
    left_in_media_kB_per_1000_calls: float
    slope_kB_per_1000_calls: float
    samples: list[Sample] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        row = asdict(self)
        del row["samples"]
        return row


async def growth(
    system: System, rate: float, before: int, calls: int, said: Callable[[str], None] = lambda _text: None
) -> Growth:
    """`said` hears how far it is."""
    async with Loaded(system, hold=0.3) as loaded:
        caller, counted = loaded.caller, system.counted
        said(f"{before} calls to fill pools and caches")
        await caller.run(rate, before / rate)
        await _rest(said)
        counted_before = counted() if counted else 0
        begun, clean = time.monotonic(), caller.outcome.clean
        samples = [_sample(system, begun, 0)]
        watcher = asyncio.create_task(_watch(system, begun, loaded, clean, samples, said))
        await caller.run(rate, calls / rate)
        await _rest(said)
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
        samples.append(_sample(system, begun, caller.outcome.clean - clean))
        connected = counted() - counted_before if counted else None
        return summary(system.name, rate, before, loaded.caller.outcome.failed.total(), connected, samples)


def summary(system: str, rate: float, before: int, failed: int, counted: int | None, samples: list[Sample]) -> Growth:
    first, last = samples[0], samples[-1]
    thousands = max(1, last.calls) / 1000
    totals = [sample.signalling + sample.media for sample in samples]
    running = [s for s in samples if s.calls > last.calls / 3 and s.calls < last.calls]
    return Growth(
        system=system,
        rate=rate,
        before=before,
        calls=last.calls,
        failed=failed,
        counted_by_system=counted,
        rss_before_MiB=round(totals[0] / 2**20, 1),
        rss_peak_MiB=round(max(totals) / 2**20, 1),
        rss_after_MiB=round(totals[-1] / 2**20, 1),
        left_kB_per_1000_calls=round((totals[-1] - totals[0]) / 1024 / thousands, 1),
        left_in_media_kB_per_1000_calls=round((last.media - first.media) / 1024 / thousands, 1),
        slope_kB_per_1000_calls=round(1000 / 1024 * theil_sen([(s.calls, s.signalling + s.media) for s in running]), 1),
        samples=samples,
    )


def theil_sen(points: list[tuple[float, float]]) -> float:
    """The median slope over all pairs: a few outliers do not move it. 0.0 for fewer than two places."""
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1 :] if x2 != x1]
    return statistics.median(slopes) if slopes else 0.0


async def _watch(
    system: System, begun: float, loaded: Loaded, clean: int, samples: list[Sample], said: Callable[[str], None]
) -> None:
    while True:
        await asyncio.sleep(EVERY)
        sample = _sample(system, begun, loaded.caller.outcome.clean - clean)
        samples.append(sample)
        said(f"{sample.calls} calls, {(sample.signalling + sample.media) / 2**20:.0f} MiB")


async def _rest(said: Callable[[str], None]) -> None:
    said(f"waiting {REST:.0f} s for what is held after a call")
    await asyncio.sleep(REST)


def _sample(system: System, begun: float, calls: int) -> Sample:
    sizes = [rss(process.pid) for process in tree(system.pid)]
    return Sample(round(time.monotonic() - begun, 2), calls, sizes[0], sum(sizes[1:]))
