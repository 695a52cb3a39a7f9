"""`cubeload media`: the media engines beside rtpengine, as a section of results."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cubeload.media.bench import Contender, Point, compare
from cubeload.media.picture import draw
from cubeload.media.plan import MOST_CALLS, MediaLoad
from cubeload.media.verdict import MARK, PACED, best_rates, goals, medians, rows
from cubeload.processes import more_descriptors
from cubeload.results import Section, record
from cubeproxy.protocols.suites import Suite

DEFAULT_RELAYS = "io_uring,epoll,rtpengine,floor"
METHOD = (
    "SRTP from phones to RTP and back, G.711 packets of 20 ms both ways in every call, and a sender report of each "
    "stream every 5 s. Every phone and every far end is a socket with a port of its own. Each of a call's two streams "
    "has a phase of its own, uniform over the 20 ms, the same for all relays and another in every round; its packets "
    "leave at that moment one by one; calls begin one after the other before packets are counted. The generator, in C, "
    "has the first core and the relay the last one with all its threads, both before other programs where that is "
    "permitted (`--realtime`: relays, whichever they are, have real-time priority, of which the kernel grants no more "
    "than 95 % of the core). Phones' streams are encrypted with pylibsrtp "
    "before the run, every call under its own keys; what arrives clear is compared octet by octet, what arrives "
    "encrypted is verified for 16 calls with pylibsrtp afterwards. Relays take turns within a run, in reverse order "
    "every other round; rows are medians of each figure. CPU is what the scheduler counts for all threads of the "
    "relay, per packet that it relayed. Delay is from just before the generator's send to the kernel's stamp of "
    "arrival at the other end, so that how fast the generator reads does not count; it keeps what it says of itself "
    "apart: the share of its core that it needed, and packets that it sent more than 250 us late. A load passes "
    "when its medians do: less than 0.1 % loss, p99 under 5 ms, nothing wrong. packets/s are those that arrived "
    "while packets were counted, whatever their delay. RTCP: reports that came to phones and core. Memory is what "
    "the relay has for itself beyond what it had without calls. cubeproxy: RTCP terminated, learning of sources and "
    "statistics as always. rtpengine: userspace mode, one media thread, driven over ng. The floor is sockets alone: "
    "epoll, a receive and a send for each packet, every millisecond; no cryptography."
)
NOT_MEASURED = (
    "physical networks and network cards, the kernel's work outside the relay's own time, rtpengine's kernel module, "
    "several workers, IPv6, loss and reordering on the way in, jitter of senders. Two cores of a virtual machine may "
    "be two threads of one core: then whatever the generator does slows the relay down, the more the more calls, "
    "whichever relay it is."
)


def section(
    compared: Sequence[Contender],
    loads: Sequence[MediaLoad],
    rounds: int,
    say: Callable[[str], None] = print,
    *,
    realtime: bool = False,
) -> Section:
    """Measure, and say what came of it. The first load's suite is the one whose capacity is judged."""
    found = Section("media", "Media engines side by side: SRTP to RTP and back", METHOD, NOT_MEASURED, upright=True)
    middle = medians(compare(compared, loads, rounds, lambda point: say(brief(point)), realtime=realtime))
    found.rows = rows(middle)
    found.goals = goals(middle)
    found.findings = best_rates(middle, loads[0].suite.value)
    if not shutil.which(MARK):
        found.findings.append(f"{MARK} is not installed here: nothing was compared with it")
    found.faults = [
        f"{median.point.relay} at {median.point.calls} calls: {median.point.faults} packets were wrong"
        for median in middle
        if median.point.faults
    ]
    for name in dict.fromkeys(median.point.relay for median in middle):
        points = [m.point for m in middle if (m.point.relay, m.point.suite) == (name, loads[0].suite.value)]
        found.series[name] = [(point.calls, point.cpu_us) for point in points]
    found.axes = ("calls", "CPU us per packet")
    return found


def brief(point: Point) -> str:
    return (
        f"{point.relay} {point.suite} {point.calls} calls: {point.cpu_us} us a packet, loss {point.loss:.2%}, "
        f"p50 {point.p50_us:.0f} us, p99 {point.p99_us:.0f} us, {point.per_second:.0f}/s, cores {point.cores}, "
        f"generator busy {point.busy:.0%}, late {point.late:.2%}"
    )


def contenders(relays: str) -> list[Contender]:
    """Those named, with commas; the mark only where it is installed."""
    return [each for each in map(contender, relays.split(",")) if each.name != MARK or shutil.which(MARK)]


def contender(text: str) -> Contender:
    """`name`, `name:200` (up to as many calls) or `name:600-2000`."""
    name, _, limits = text.partition(":")
    least, dash, most = limits.partition("-")
    try:
        if not limits:
            return Contender(name)
        return Contender(name, int(least), int(most)) if dash else Contender(name, 0, int(least))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not NAME, NAME:MOST or NAME:LEAST-MOST") from None


def loads_of(calls: str, suites: str, seconds: float) -> list[MediaLoad]:
    """Each number of calls in the first suite; the others at 600, or at the first number without that."""
    numbers = [int(number) for number in calls.split(",")]
    if not all(0 < number <= MOST_CALLS for number in numbers):
        raise typer.BadParameter(f"between 1 and {MOST_CALLS} calls")
    first, *others = (Suite(suite) for suite in suites.split(","))
    again = [PACED] if PACED in numbers else numbers[:1]
    return [MediaLoad(number, seconds, suite=first) for number in numbers] + [
        MediaLoad(number, seconds, suite=suite) for suite in others for number in again
    ]


def command(
    calls: Annotated[str, typer.Option(help="Numbers of calls, with commas.")] = "300,600,1000",
    suites: Annotated[
        str, typer.Option(help="Crypto suites, with commas; all but the first at 600 calls only.")
    ] = Suite.AES_CM_128_HMAC_SHA1_80.value,
    relays: Annotated[
        str,
        typer.Option(help="Of io_uring, epoll, python, rtpengine, floor; with :MOST or :LEAST-MOST at those calls."),
    ] = DEFAULT_RELAYS,
    rounds: Annotated[int, typer.Option(help="Turns of each relay at each point.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long each run is counted.")] = 4.0,
    realtime: Annotated[bool, typer.Option(help="Give every relay real-time priority.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for bench.md, bench.json and the plot.")] = Path("out/media"),
) -> None:
    """Media relays side by side: CPU a packet, loss and delay under paced encrypted streams.

    Close other programs first: a relay that loses its core to them shows it as delay and loss.
    """
    more_descriptors()
    compared = contenders(relays)
    loads = loads_of(calls, suites, seconds)
    found = section(compared, loads, rounds, lambda text: typer.echo(text, err=True), realtime=realtime)
    draw(found, out)
    _, text = record(out, [found], " ".join(["cubeload", *sys.argv[1:]]))
    for line in [*map(str, found.goals), *found.findings]:
        typer.echo(line)
    typer.echo(f"written to {text}")
    if found.faults:
        raise typer.Exit(1)
