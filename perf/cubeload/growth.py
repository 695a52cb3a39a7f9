"""Whether memory grows with the number of calls that are over."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

import uvloop

from cubeload.answering import Answerer
from cubeload.calling import Caller
from cubeload.measure import System, connect
from cubeload.processes import usage

SETTLE = 35.0  # s: INVITE server transactions last 64*T1 after their answer (RFC 6026), their memory is not growth


@dataclass(slots=True)
class Mark:
    """Resident memory of the process tree after so many calls, all of them over."""

    system: str
    calls: int
    failed: int
    rss_MiB: float

    def row(self) -> dict[str, object]:
        return asdict(self)


def measure_growth(system: System, rate: float, calls: int, marks: int = 5) -> list[Mark]:
    return uvloop.run(_measure(system, rate, calls, marks))


async def _measure(system: System, rate: float, calls: int, marks: int) -> list[Mark]:
    answerer = Answerer(system.core[0], (system.core[0], 40000))
    await answerer.open(system.core[1])
    caller = Caller(system.number, system.domain, 0.2, secure=system.secure)
    await connect(caller, system)
    out = [_mark(system, caller)]
    for _ in range(marks):
        await caller.run(rate, calls / marks / rate)
        await asyncio.sleep(SETTLE)
        out.append(_mark(system, caller))
    for link, _ in caller.lines:
        link.close()
    answerer.close()
    return out


def _mark(system: System, caller: Caller) -> Mark:
    outcome = caller.outcome
    failed = outcome.failed.total()
    return Mark(system.name, outcome.clean + failed, failed, round(usage(system.pid).rss / 2**20, 1))
