"""What a comparison of media relays comes to: medians, how many calls each relay carries, and ratios to the mark.

Ratios within one run are what holds when the machine changes; every goal is one.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from cubeload.media.bench import MAX_LOSS, MAX_P99, Point
from cubeload.results import Goal, Row

MARK = "rtpengine"
PACED = 600  # calls at which CPU per packet is compared: no relay is short of time
OFFERED = (1500, 2000)  # calls between which packets per second are compared
CAPACITY = {"io_uring": 2.0, "epoll": 1.5}  # times the calls of the mark
CPU = {"AES_CM_128_HMAC_SHA1_80": 0.48, "AEAD_AES_128_GCM": 0.5, "AEAD_AES_256_GCM": 0.5}  # times that of the mark
PER_SECOND = 1.8
KIB_A_STREAM = 8.0
OURS = "io_uring"
COUNTED = ("relay", "calls", "suite", "faults")  # fields that are no figures to take medians of


@dataclass(slots=True)
class Median:
    """A relay under a load: medians of its runs, field by field, and how many of them passed on their own."""

    point: Point
    runs: int
    passed: int

    @property
    def passes(self) -> bool:
        return self.point.passes


def medians(points: Sequence[Point]) -> list[Median]:
    """One for each relay and load, in the order of suites and calls."""
    found = []
    order = list(dict.fromkeys(point.suite for point in points))
    keys = sorted({(order.index(point.suite), point.calls, point.relay) for point in points})
    for place, calls, relay in keys:
        group = [p for p in points if (p.suite, p.calls, p.relay) == (order[place], calls, relay)]
        middle = {
            field.name: statistics.median(getattr(point, field.name) for point in group)
            for field in fields(Point)
            if field.name not in COUNTED
        }
        point = Point(relay=relay, calls=calls, suite=order[place], faults=sum(p.faults for p in group), **middle)
        found.append(Median(point, len(group), sum(p.passes for p in group)))
    return found


def rows(found: Sequence[Median]) -> list[Row]:
    return [_row(median) for median in found]


def _row(median: Median) -> Row:
    point = median.point
    return {
        "suite": point.suite,
        "calls": point.calls,
        "relay": point.relay,
        "passes": "yes" if median.passes else "no",
        "runs that pass": f"{median.passed} of {median.runs}",
        "CPU us a packet": round(point.cpu_us, 2),
        "cores": round(point.cores, 2),
        "loss %": round(100 * point.loss, 3),
        "p50 us": round(point.p50_us),
        "p99 us": round(point.p99_us),
        "p99.9 us": round(point.p999_us),
        "packets/s": round(point.per_second),
        "in 5 ms /s": round(point.timely),
        "reordered": round(point.reordered),
        "RTCP": round(point.reports),
        "KiB a call": round(point.kib_a_call, 1),
        "generator busy": f"{point.busy:.0%}",
        "sent late": f"{point.late:.2%}",
        "faults": point.faults,
    }


def capacity(found: Sequence[Median], relay: str, suite: str) -> int:
    """The most calls up to which every load that was tried passes; 0 when none does."""
    best = 0
    for median in found:
        if (median.point.relay, median.point.suite) == (relay, suite):
            if not median.passes:
                break
            best = median.point.calls
    return best


def goals(found: Sequence[Median]) -> list[Goal]:
    """Each where the run has what it needs."""
    suites = list(dict.fromkeys(median.point.suite for median in found))
    by_load = {(m.point.suite, m.point.calls, m.point.relay): m.point for m in found}
    goals = _capacity_goals(found, suites[0])
    for suite in suites:
        ours, mark = by_load.get((suite, PACED, OURS)), by_load.get((suite, PACED, MARK))
        if ours and mark:
            text = f"{suite}, {PACED} calls: CPU a packet, {OURS} to {MARK}"
            goals.append(Goal(text, CPU.get(suite, 0.5), round(ours.cpu_us / mark.cpu_us, 2), "times"))
    return goals + _rate_goals(by_load, suites[0]) + _memory_goals(found)


def _capacity_goals(found: Sequence[Median], suite: str) -> list[Goal]:
    mark = capacity(found, MARK, suite)
    highest = max((m.point.calls for m in found if m.point.relay == MARK), default=0)
    if not 0 < mark < highest:
        return []  # it was not taken to its limit
    text = f"calls at loss < {MAX_LOSS:.1%} and p99 < {MAX_P99 / 1000:g} ms"
    goals = []
    for relay, wanted in CAPACITY.items():
        ours = capacity(found, relay, suite)
        if ours:
            said = f"{text}: {relay} {ours}, {MARK} {mark}"
            goals.append(Goal(said, wanted, round(ours / mark, 2), "times", most=False))
    return goals


def _rate_goals(by_load: dict[tuple[str, int, str], Point], suite: str) -> list[Goal]:
    goals = []
    for load in sorted({calls for _, calls, _ in by_load}):
        ours, mark = by_load.get((suite, load, OURS)), by_load.get((suite, load, MARK))
        if ours and mark and OFFERED[0] <= load <= OFFERED[1]:
            said = f"{load} calls offered: packets/s, {OURS} {ours.per_second:,.0f}, {MARK} {mark.per_second:,.0f}"
            goals.append(Goal(said, PER_SECOND, round(ours.per_second / mark.per_second, 2), "times", most=False))
    return goals


def _memory_goals(found: Sequence[Median]) -> list[Goal]:
    ours = [median.point for median in found if median.point.relay == OURS]
    if not ours:
        return []
    most = max(ours, key=lambda point: point.calls)
    text = f"memory of a stream beyond socket buffers, {most.calls} calls"
    return [Goal(text, KIB_A_STREAM, round(most.kib_a_call / 2, 1), "KiB")]


def best_rates(found: Sequence[Median], suite: str) -> list[str]:
    """The highest rates that any load reached: what a relay does when it has more to do than it can."""
    lines = []
    for relay in dict.fromkeys(median.point.relay for median in found):
        points = [m.point for m in found if (m.point.relay, m.point.suite) == (relay, suite)]
        rate = max(points, key=lambda point: point.per_second)
        timely = max(points, key=lambda point: point.timely)
        lines.append(
            f"{relay}: at most {rate.per_second:,.0f} packets/s (at {rate.calls} calls), "
            f"at most {timely.timely:,.0f} within 5 ms (at {timely.calls} calls)"
        )
    return lines
