"""One benchmark of calls: the load runs against a system, and the kernel says what that system used meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from types import TracebackType

from cubeload.answering import Answerer
from cubeload.calling import Caller, Outcome
from cubeload.links import open_tls, open_udp
from cubeload.processes import Split, pin, split
from cubeload.systems import System

WARM_UP = 2.0  # s of the same load before the figures count: imports, caches, first allocations
SETTLE = 0.5  # s
HOLD = 1.0  # s that each call is held
SYSTEM_CORE = 1  # the system under test has it to itself; the generator keeps to core 0


@dataclass(slots=True)
class CallResult:
    """`cpu_ms_per_call` is CPU time of the system's processes over the calls that it finished."""

    system: str
    path: str
    rate: float
    seconds: float
    offered: int
    clean: int
    failed: dict[str, int]
    counted_by_system: int | None  # calls that it says it connected; None when it does not say
    cpu_ms_per_call: float
    signalling_ms_per_call: float
    media_ms_per_call: float
    cores_used: float
    cores_used_by_others: float  # of the machine, by neither the system nor the generator
    setup_ms_p50: float
    setup_ms_p99: float
    rss_MiB: float
    generator_late_ms: float

    def row(self) -> dict[str, object]:
        return asdict(self)

    @property
    def sound(self) -> bool:
        """Whether every call went well and the system says the same."""
        counts_agree = self.counted_by_system in (None, self.clean)
        return counts_agree and not self.failed and self.clean == self.offered


class Loaded:
    """A system with its callers connected and its core side answered: `async with Loaded(system) as loaded`."""

    def __init__(self, system: System, hold: float = HOLD) -> None:
        self.system = system
        self.answerers = [Answerer(host, (host, 40000)) for host, _ in system.core]
        self.caller = Caller(system.number, system.domain, hold, secure=system.secure)

    async def __aenter__(self) -> Loaded:
        pin(self.system.pid, SYSTEM_CORE)
        for answerer, (_, port) in zip(self.answerers, self.system.core, strict=True):
            await answerer.open(port)
        for phone in self.system.phones:
            if phone.tls is None:
                link = await open_udp(self.caller.received, phone.host, target=self.system.enter)
                self.caller.lines.append((link, phone.user))
                continue
            stream = await open_tls(self.caller.received, phone.host, self.system.enter, phone.tls.context())
            self.caller.lines.append((stream, phone.user))
            if self.system.register:
                await self.caller.register(stream, phone.user)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for answerer in self.answerers:
            answerer.close()
        for link, _ in self.caller.lines:
            link.close()

    async def warm_up(self, rate: float, seconds: float = WARM_UP) -> None:
        await self.caller.run(rate, seconds)

    async def calls(self, rate: float, seconds: float) -> CallResult:
        """Calls at that rate for so long, measured."""
        caller, counted = self.caller, self.system.counted
        caller.outcome = Outcome()
        counted_before = counted() if counted else 0
        before = split(self.system.pid)
        outcome = await caller.run(rate, seconds)
        await asyncio.sleep(SETTLE)
        used = split(self.system.pid).since(before)
        return self._result(rate, seconds, outcome, used, counted() - counted_before if counted else None)

    def _result(self, rate: float, seconds: float, outcome: Outcome, used: Split, counted: int | None) -> CallResult:
        clean, now = max(1, outcome.clean), split(self.system.pid)
        took, cpu = used.signalling.at, used.signalling.cpu + used.media.cpu
        return CallResult(
            system=self.system.name,
            path=self.system.path,
            rate=rate,
            seconds=seconds,
            offered=round(rate * seconds),
            clean=outcome.clean,
            failed=dict(outcome.failed),
            counted_by_system=counted,
            cpu_ms_per_call=round(1000 * cpu / clean, 3),
            signalling_ms_per_call=round(1000 * used.signalling.cpu / clean, 3),
            media_ms_per_call=round(1000 * used.media.cpu / clean, 3),
            cores_used=round(cpu / took, 3),
            cores_used_by_others=round(max(0.0, used.others) / took, 2),
            setup_ms_p50=round(1000 * outcome.percentile(0.5), 2),
            setup_ms_p99=round(1000 * outcome.percentile(0.99), 2),
            rss_MiB=round((now.signalling.rss + now.media.rss) / 2**20, 1),
            generator_late_ms=round(1000 * outcome.late, 1),
        )
