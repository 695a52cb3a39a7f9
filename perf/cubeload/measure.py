"""One benchmark of calls: the load runs against a system, and the kernel says what that system used meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import uvloop

from cubeload import peers
from cubeload.answering import Answerer
from cubeload.calling import Caller
from cubeload.links import ClientTls, open_tls, open_udp
from cubeload.processes import Usage, pin, usage

WARM_UP = 2.0  # s of the same load before the figures count: imports, caches, first allocations
SETTLE = 0.5  # s


@dataclass(slots=True)
class Load:
    """Calls a second, for how long, and how long each call is held (all in s)."""

    rate: float
    seconds: float
    hold: float = 1.0
    pin_to: int | None = 1  # core of the system under test; the generator keeps to core 0 then


@dataclass(slots=True)
class System:
    """What is loaded: where calls go in, and where its core side sends them."""

    name: str
    pid: int
    enter: tuple[str, int]
    core: tuple[str, int]
    domain: str
    tls: list[ClientTls] = field(default_factory=list)  # a phone each; without any, calls go in by UDP
    secure: bool = False  # SDES in the offer
    users: list[str] = field(default_factory=lambda: ["1000"])
    number: str = "2000"
    register: bool = False


@dataclass(slots=True)
class CallResult:
    """`cpu_ms_per_call` is CPU time of the system's whole process tree over the calls that it finished."""

    system: str
    path: str
    rate: float
    seconds: float
    clean: int
    failed: dict[str, int]
    cpu_ms_per_call: float
    cores_used: float
    setup_ms_p50: float
    setup_ms_p99: float
    rss_MiB: float
    generator_late_ms: float

    def row(self) -> dict[str, object]:
        return asdict(self)


def measure_calls(system: System, load: Load) -> CallResult:
    return uvloop.run(_measure(system, load))


async def _measure(system: System, load: Load) -> CallResult:
    if load.pin_to is not None:
        pin(system.pid, load.pin_to)
    core_host, core_port = system.core
    answerer = Answerer(core_host, (core_host, 40000))
    await answerer.open(core_port)
    caller = Caller(system.number, system.domain, load.hold, secure=system.secure)
    await connect(caller, system)
    try:
        await caller.run(load.rate, WARM_UP)
        caller.outcome = type(caller.outcome)()
        before = usage(system.pid)
        outcome = await caller.run(load.rate, load.seconds)
        await asyncio.sleep(SETTLE)
        used = usage(system.pid).since(before)
        return _result(system, load, caller, used, usage(system.pid).rss, outcome.clean)
    finally:
        answerer.close()
        for link, _ in caller.lines:
            link.close()


async def connect(caller: Caller, system: System) -> None:
    """Opens the phones' connections and registers them, or one UDP socket for all."""
    host = system.enter[0]
    if not system.tls:
        link = await open_udp(caller.received, host, target=system.enter)
        caller.lines = [(link, user) for user in system.users]
        return
    for phone, user in zip(system.tls, system.users, strict=True):
        stream = await open_tls(caller.received, "127.0.0.1", system.enter, phone.context())
        if system.register:
            await caller.register(stream, user)
        caller.lines.append((stream, user))


def _result(system: System, load: Load, caller: Caller, used: Usage, rss: int, clean: int) -> CallResult:
    outcome = caller.outcome
    return CallResult(
        system=system.name,
        path=f"{'TLS' if system.tls else 'UDP'}{' with SDES' if system.secure else ''} to UDP, no media packets",
        rate=load.rate,
        seconds=load.seconds,
        clean=clean,
        failed=dict(outcome.failed),
        cpu_ms_per_call=round(1000 * used.cpu / max(1, clean), 3),
        cores_used=round(used.cpu / used.at, 3),
        setup_ms_p50=round(1000 * outcome.percentile(0.5), 2),
        setup_ms_p99=round(1000 * outcome.percentile(0.99), 2),
        rss_MiB=round(rss / 2**20, 1),
        generator_late_ms=round(1000 * outcome.late, 1),
    )


@contextlib.contextmanager
def sippy_system(host: str = "127.0.0.1") -> Iterator[System]:
    """The Python mark, UDP to UDP."""
    port, core = peers.free_udp_port(host), peers.free_udp_port(host)
    with peers.sippy(host, port, f"{host}:{core}") as pid:
        yield System("sippy", pid, (host, port), (host, core), domain=f"{host}:{port}")
