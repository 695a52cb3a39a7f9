"""`cubeload media`: the media engines beside rtpengine, as a section of results."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cubeload.media.bench import Point, compare, medians
from cubeload.media.plan import MediaLoad
from cubeload.plots import draw
from cubeload.processes import more_descriptors
from cubeload.results import Goal, Section, record
from cubeproxy.protocols.suites import Suite

OURS, MARK = "io_uring", "rtpengine"
DEFAULT_RELAYS = "io_uring,epoll,rtpengine"
METHOD = (
    "SRTP from phones to RTP and back, G.711 packets of 20 ms both ways in every call, paced and spread over the 20 ms "
    "by a generator in C on one core; the relay has the last core with all its threads, both before other programs "
    "where that is permitted. Phones' streams are encrypted with pylibsrtp before the run, every call under its own "
    "keys; what arrives clear is compared octet by octet, what arrives encrypted is verified for 16 calls with "
    "pylibsrtp afterwards. Relays take turns within a run, in reverse order every other round; rows are medians. CPU "
    "is what the scheduler counts for all threads of the relay, per packet that it should have relayed. Delay is from "
    "just before the generator's send to just after its receive. A run passes with less than 0.1 % loss, p99 under "
    "5 ms and nothing wrong. The lag is how far the generator itself fell behind its schedule in the worst moment: "
    "other programs show there. rtpengine: userspace mode, one media thread."
)
NOT_MEASURED = (
    "physical networks and network cards, the kernel's work outside the relay's own time, rtpengine's kernel module, "
    "several workers, IPv6, RTCP, loss and reordering on the way in."
)


def section(
    relays: Sequence[str], loads: Sequence[MediaLoad], rounds: int, say: Callable[[str], None] = print
) -> Section:
    """Measure, and say what came of it."""
    found = Section("media", "Media engines side by side: SRTP to RTP and back", METHOD, NOT_MEASURED)
    points = compare(relays, loads, rounds, lambda point: say(brief(point)))
    found.rows = list(medians(points))
    found.faults = [
        f"{row['relay']} at {row['calls']} calls: {row['faults']} packets were wrong"
        for row in found.rows
        if row["faults"]
    ]
    for name in relays:
        rows = [row for row in found.rows if row["relay"] == name and row["suite"] == loads[0].suite.value]
        found.series[name] = [(float(str(row["calls"])), float(str(row["cpu_us"]))) for row in rows]
    found.axes = ("calls", "CPU us per packet")
    found.goals = _goals(found)
    return found


def _goals(found: Section) -> list[Goal]:
    """Ratios to the mark at the same load: the figures that hold when the machine changes."""
    cost = {(row["suite"], row["calls"], row["relay"]): float(str(row["cpu_us"])) for row in found.rows}
    goals = []
    for (suite, calls, relay), ours in cost.items():
        mark = cost.get((suite, calls, MARK))
        if relay == OURS and mark:
            wanted = 0.5 if "GCM" in str(suite) else 0.48
            goals.append(
                Goal(f"{suite}, {calls} calls: CPU a packet, {relay} to {MARK}", wanted, round(ours / mark, 2), "times")
            )
    return goals


def brief(point: Point) -> str:
    return (
        f"{point.relay} {point.suite} {point.calls} calls: {point.cpu_us} us a packet, loss {point.loss:.2%}, "
        f"p50 {point.p50_us:.0f} us, p99 {point.p99_us:.0f} us, {point.per_second:.0f}/s, cores {point.cores}, "
        f"generator busy {point.busy:.0%}, late {point.late:.2%}, lag {point.lag_us:.0f} us, {point.kib_a_call} KiB a call"
    )


def command(
    calls: Annotated[str, typer.Option(help="Numbers of calls, with commas.")] = "100,300,600",
    suites: Annotated[str, typer.Option(help="Crypto suites, with commas.")] = Suite.AES_CM_128_HMAC_SHA1_80.value,
    relays: Annotated[str, typer.Option(help="Of io_uring, epoll, python, rtpengine.")] = DEFAULT_RELAYS,
    rounds: Annotated[int, typer.Option(help="Turns of each relay at each point.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long each run is counted.")] = 4.0,
    out: Annotated[Path, typer.Option(help="Folder for bench.md, bench.json and the plot.")] = Path("out/media"),
) -> None:
    """Media relays side by side: CPU a packet, loss and delay under paced encrypted streams.

    Close other programs first: a relay that loses its core to them shows it as delay and loss.
    """
    more_descriptors()
    names = [name for name in relays.split(",") if name != MARK or shutil.which(MARK)]
    loads = [
        MediaLoad(int(number), seconds, suite=Suite(suite))
        for suite in suites.split(",")
        for number in calls.split(",")
    ]
    found = section(names, loads, rounds, lambda text: typer.echo(text, err=True))
    if MARK in relays and MARK not in names:
        found.findings.append(f"{MARK} is not installed here: nothing was compared with it")
    draw(found, out)
    _, text = record(out, [found], " ".join(["cubeload", *sys.argv[1:]]))
    for goal in found.goals:
        typer.echo(str(goal))
    typer.echo(f"written to {text}")
    if found.faults:
        raise typer.Exit(1)
