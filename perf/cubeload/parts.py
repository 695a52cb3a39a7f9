"""The parts of the benchmark: each runs its load against systems that it starts, and says what came of it.

The text of a section is what a reader of the results has: how the figure was made, and what it does not tell.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from cubeload import memory
from cubeload.bridging import Bridged, bridging
from cubeload.growth import growth
from cubeload.measure import HOLD, CallResult, Loaded
from cubeload.media.command import DEFAULT_RELAYS as ENGINES
from cubeload.media.command import contenders
from cubeload.media.command import section as compared
from cubeload.media.plan import MediaLoad
from cubeload.product import PORTS, Lab, interpreters, proxy_system
from cubeload.progress import Progress
from cubeload.registering import Rate, handshakes, refreshes
from cubeload.results import Goal, Section
from cubeload.sizes import Sizes
from cubeload.systems import System, sippy_system

COMPARABLE = 0.9  # of a mark's calls must have gone well for its CPU per call to mean anything
LATE = 250.0  # ms that the generator may be behind its own pace; else the load was not what it is said to be


@dataclass(slots=True)
class Run:
    """What a part is given."""

    sizes: Sizes
    lab: Lab
    progress: Progress


Part = Callable[[Run], Section]


def calls(run: Run) -> Section:
    """CPU per call at one rate, the systems in turn."""
    sizes = run.sizes
    results: list[CallResult] = []
    section = Section(
        "calls",
        f"Calls at {sizes.rate:g} a second: CPU per call beside sippy",
        "an open-model load from one process; the system has the other core to itself with all its processes. "
        f"Each call is INVITE, 180, 200, ACK, {HOLD:g} s, BYE, 200; it counts when all of it went well. CPU is user "
        "and system time of the system's processes from the first measured call to half a second after the last, over "
        f"those calls, as the kernel counts it. Before that {sizes.warm_up:g} s at the same rate, so that what SIP "
        "keeps for 32 s after a call is being kept and let go at the pace of the calls. cubeproxy: phones with "
        "certificates and "
        "connections of their own over TLS, SDES in, UDP and RTP out, media sessions set up and released in its "
        "worker, its log written to a file; compiled: the same files through mypyc (`make compiled`). "
        "sippy: UDP to UDP, no media, its logs off.",
        "media packets (see below), retransmissions, loss, and the kernel's work outside the processes' own time.",
    )
    builds = list(interpreters())
    phones = run.lab.phones[: sizes.callers]
    for turn in range(1, sizes.rounds + 1):
        for start in (sippy_system(), *(proxy_system(run.lab, phones, build) for build in builds)):
            with start as system:
                run.progress.say(f"round {turn} of {sizes.rounds}: {system.name}")
                results.append(uvloop.run(_calls(system, sizes)))
                section.rows.append({**results[-1].row(), "round": turn})
    section.faults = [fault for result in results if result.system in builds for fault in doubts(result)]
    for result in results:
        if result.system not in builds and doubts(result):
            section.findings.append(f"{result.system} did not stand this rate: {'; '.join(doubts(result))}")
    if section.faults:  # the CPU of calls that failed would be put on those that did not
        return section
    comparable = all(result.clean >= COMPARABLE * result.offered for result in results)
    mark = _median(results, "sippy")
    for build in builds:
        ours = _median(results, build)
        section.goals.append(Goal(f"{build}, CPU per call, signalling and media worker", 1.0, ours, "ms"))
        if comparable:
            section.findings.append(f"sippy {mark:g} ms, {build} {ours:g} ms a call: {mark / ours:.1f} times")
    return section


async def _calls(system: System, sizes: Sizes) -> CallResult:
    async with Loaded(system) as loaded:
        await loaded.warm_up(sizes.rate, sizes.warm_up)
        return await loaded.calls(sizes.rate, sizes.seconds)


def _median(results: list[CallResult], system: str) -> float:
    return statistics.median(result.cpu_ms_per_call for result in results if result.system == system)


def doubts(result: CallResult) -> list[str]:
    """Why a result of calls is not to be believed."""
    found = [f"{result.system}: {count} calls failed, {cause}" for cause, count in result.failed.items()]
    if result.clean + sum(result.failed.values()) != result.offered:
        found.append(f"{result.system}: {result.offered} calls offered, {result.clean} clean")
    if result.counted_by_system not in (None, result.clean):
        found.append(f"{result.system} counts {result.counted_by_system} calls, the generator {result.clean}")
    if result.generator_late_ms > LATE:
        found.append(f"the generator was {result.generator_late_ms:g} ms late")
    return found


def ramp(run: Run) -> Section:
    """The highest rate of a bounded ramp at which everything went well."""
    sizes = run.sizes
    section = Section(
        "ramp",
        "Highest clean rate within a ramp",
        f"the same calls through cubeproxy, {sizes.ramp_seconds:g} s at each rate, one after the other, until one is "
        "not clean: a call failed, the counts disagree, or the generator was late (then it was the limit, and is said "
        f"to be). `{PORTS}` is configured, since a port rests for 10 s.",
        "higher rates than those named, and how long a rate would be stood.",
    )

    async def steps(system: System) -> list[CallResult]:
        found: list[CallResult] = []
        async with Loaded(system) as loaded:
            await loaded.warm_up(sizes.ramp[0])
            for rate in sizes.ramp:
                run.progress.say(f"{rate:g} calls a second")
                found.append(await loaded.calls(rate, sizes.ramp_seconds))
                if doubts(found[-1]):
                    break
        return found

    with proxy_system(run.lab, run.lab.phones[: sizes.callers]) as system:
        results = uvloop.run(steps(system))
    section.rows = [result.row() for result in results]
    clean = [result for result in results if not doubts(result)]
    if clean:
        best = clean[-1]
        more = "" if len(clean) < len(results) else ", not its ceiling"
        section.findings.append(f"{best.rate:g} calls a second, {best.cores_used:g} of a core{more}")
    else:
        section.faults.append("no rate of the ramp was clean")
    section.findings += [f"at {result.rate:g}: {doubt}" for result in results for doubt in doubts(result)]
    section.series = {
        "CPU per call, ms": [(result.rate, result.cpu_ms_per_call) for result in clean],
        "set-up time p99, 100 ms": [(result.rate, result.setup_ms_p99 / 100) for result in clean],
    }
    section.axes = ("calls a second", "")
    return section


def registrations(run: Run) -> Section:
    """Refreshes and first registrations, per second and in CPU time."""
    sizes = run.sizes
    section = Section(
        "registrations",
        "Registrations and mutual-TLS handshakes",
        "closed loops: each of the phones sends its next REGISTER when the last one is answered by the core; 8 phones "
        "at a time connect, shake hands (RSA-2048 certificates on both sides, no resumption), register and close with "
        "TLS's goodbye. CPU is that of the proxy's processes over the answered ones. `per second and core` is computed "
        "from it.",
        "TLS session resumption, a storm with more at once than the gate lets in, phones that come back with a digest "
        "challenge.",
    )
    results: list[Rate] = []
    for what in (refreshes, handshakes):
        with proxy_system(run.lab, run.lab.phones[: sizes.callers]) as system:
            run.progress.say(what.__name__)
            results.append(uvloop.run(what(system, sizes.registering)))
    section.rows = [result.row() for result in results]
    for result in results:
        section.findings.append(
            f"{result.what}: {result.per_second:g}/s, {result.cpu_ms_each:g} ms of CPU each, so "
            f"{result.per_second_and_core:,.0f}/s a core"
        )
        if result.failed:
            section.faults.append(f"{result.what}: {result.failed}")
        if result.asked_of_core < result.done:  # more of them are retransmissions
            section.faults.append(f"{result.what}: {result.done} answered, {result.asked_of_core} reached the core")
    return section


def footprint(run: Run) -> Section:
    """Memory of phones, of connections that go no further and of calls."""
    sizes = run.sizes
    section = Section(
        "memory",
        "Memory of phones, half-open connections and calls",
        "resident memory of one process, read with few and with many of them; the difference over the difference in "
        "number. Each phone has a connection, a certificate and an address of its own. Half-open connections are "
        "counted again when memory has been read: all must still be held. Calls have SRTP keys on one side and RTP on "
        "the other.",
        "the kernel's memory for sockets, and what media packets add.",
    )
    found: list[memory.Cost] = []
    with proxy_system(run.lab) as system:
        run.progress.say("registered phones")
        found.append(uvloop.run(memory.phones(system, sizes.phones[0])))
    for kind in (memory.SILENT, memory.BEGUN, memory.SHAKING):
        with proxy_system(run.lab) as system:
            run.progress.say(f"half-open connections, {kind}")
            few, many = sizes.shaking if kind == memory.SHAKING else sizes.half_open
            found.append(uvloop.run(memory.half_open(system, kind, few, many)))
    with proxy_system(run.lab, run.lab.phones[: sizes.callers]) as system:
        run.progress.say("calls")
        found += uvloop.run(memory.calls(system, *sizes.calls, rate=100))
    section.rows = [cost.row() for cost in found]
    section.faults = [f"{cost.what}: {cost.many} made, {cost.held} held" for cost in found if cost.held != cost.many]
    section.goals = [
        Goal("registered phone over TLS", 64, found[0].kB_each, "kB"),
        Goal("half-open connection, silent", 8, found[1].kB_each, "kB"),
        Goal("half-open connection, one octet sent", 8, found[2].kB_each, "kB"),
    ]
    section.findings = [f"{cost.what}, {cost.process}: {cost.kB_each:g} kB" for cost in found[3:]]
    return section


def grown(run: Run) -> Section:
    """Memory over many calls that are over."""
    sizes = run.sizes
    section = Section(
        "growth",
        f"Growth of memory over {sizes.growth:,} calls",
        f"{sizes.before:,} calls fill pools and caches, then 36 s of rest; {sizes.growth:,} calls at {sizes.rate:g} a "
        "second, each held for 0.3 s, resident memory of signalling and worker read every second; 36 s of rest, so "
        "that nothing that SIP keeps for 32 s counts as growth. `slope` is Theil-Sen's over the last two thirds of the "
        "calls, while they run.",
        "days, and calls that fail.",
    )
    with proxy_system(run.lab, run.lab.phones[: sizes.callers]) as system:
        found = uvloop.run(growth(system, sizes.rate, sizes.before, sizes.growth, run.progress.say))
    section.rows = [found.row()]
    section.findings.append(
        f"{found.left_kB_per_1000_calls:g} kB stayed for every 1,000 calls (media worker "
        f"{found.left_in_media_kB_per_1000_calls:g}); while they ran, memory rose by {found.slope_kB_per_1000_calls:g} "
        f"kB every 1,000 calls; peak {found.rss_peak_MiB:g} MiB"
    )
    if found.failed:
        section.faults.append(f"{found.failed} calls failed")
    if found.counted_by_system != found.calls:
        section.faults.append(f"the proxy counts {found.counted_by_system} calls, the generator {found.calls}")
    section.series = {
        "signalling": [(sample.at, sample.signalling / 2**20) for sample in found.samples],
        "media worker": [(sample.at, sample.media / 2**20) for sample in found.samples],
    }
    section.axes = ("s since the first of the calls", "resident memory, MiB")
    return section


def bridge(run: Run) -> Section:
    """Packets through the media worker, per core."""
    sizes = run.sizes
    section = Section(
        "bridging",
        "Bridged packets: SRTP to RTP and back in the Python worker",
        "calls are set up through the signalling; both sides then send G.711 packets of 20 ms, paced by the clock and "
        "spread over the 20 ms, each with its call and number in the payload, from one generator on the other core. "
        "What arrives is judged packet by packet (content, repetition, delay from just before the sending system call; "
        "SRTP is opened afterwards with libsrtp). A step is clean when less than 0.1 % is lost, nothing is wrong and "
        "99 % arrive within 5 ms, the generator's own scheduling delays included; a step that loses 1 % is the last. "
        "CPU is the worker's. AES_CM_128_HMAC_SHA1_80.",
        "other suites, several workers, and what the native engine will do.",
    )
    with proxy_system(run.lab, run.lab.phones[: sizes.callers]) as system:
        results = uvloop.run(bridging(system, sizes.bridge, sizes.bridge_seconds, run.progress.say))
    section.rows = [result.row() for result in results]
    clean = [result for result in results if result.clean]
    section.faults = [f"at {r.calls} calls: {r.wrong} packets were wrong" for r in results if r.wrong]
    if clean:
        section.findings.append(_bridged(clean[-1], last=len(clean) == len(results)))
    else:
        section.faults.append("no step was clean")
    section.findings += [
        f"at {r.calls} calls: {r.lost} of {r.sent} lost, p99 {r.delay_us_p99:g} us, generator up to "
        f"{r.generator_late_ms:g} ms late"
        for r in results
        if not r.clean
    ]
    return section


def _bridged(best: Bridged, *, last: bool) -> str:
    more = ", not its ceiling" if last else ""
    return (
        f"{best.calls} calls, {best.per_second:,} packets/s on {best.worker_cores:g} of a core{more}: "
        f"{best.cpu_us_per_packet:g} us of CPU a packet, so {1e6 / best.cpu_us_per_packet:,.0f} packets/s a core; "
        f"delay p50 {best.delay_us_p50:g} us, p99 {best.delay_us_p99:g} us"
    )


def media(run: Run) -> Section:
    """The media engines beside rtpengine and bare sockets, briefly; `cubeload media` has all of it."""
    sizes = run.sizes
    loads = [MediaLoad(number, sizes.media_seconds) for number in sizes.media]
    return compared(contenders(ENGINES), loads, sizes.rounds, run.progress.say)


PARTS: dict[str, Part] = {
    "calls": calls,
    "ramp": ramp,
    "registrations": registrations,
    "memory": footprint,
    "growth": grown,
    "bridging": bridge,
    "media": media,
}
