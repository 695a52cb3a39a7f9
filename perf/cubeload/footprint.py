"""What a phone, and a silent connection, cost in memory; what a handshake and a REGISTER cost in time."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict, dataclass

import uvloop

from cubeload.answering import Answerer
from cubeload.calling import Caller
from cubeload.links import StreamLink, open_tls
from cubeload.measure import System
from cubeload.processes import Usage, usage

SETTLE = 1.0  # s, for work that was put off to be done before memory is read


@dataclass(slots=True)
class Footprint:
    """Memory is resident memory of the process tree, divided by the number of phones or connections."""

    system: str
    phones: int
    kB_per_phone: float
    handshake_and_register_ms_cpu: float
    handshakes_per_core_second: float
    refreshes: int
    refresh_ms_cpu: float
    half_open: int
    kB_per_half_open: float

    def row(self) -> dict[str, object]:
        return asdict(self)


def measure_footprint(system: System, rounds: int = 5, half_open: int = 1000) -> Footprint:
    return uvloop.run(_measure(system, rounds, half_open))


async def _measure(system: System, rounds: int, half_open: int) -> Footprint:
    answerer = Answerer(system.core[0], (system.core[0], 40000))
    await answerer.open(system.core[1])
    caller = Caller(system.number, system.domain, 1.0, secure=True)
    context = system.tls[0].context()
    await caller.register(await open_tls(caller.received, "127.0.0.1", system.enter, context), "999")  # warm-up
    try:
        start = await _settled(system.pid)
        links: list[StreamLink] = []
        for phone, user in zip(system.tls, system.users, strict=True):
            link = await open_tls(caller.received, "127.0.0.1", system.enter, phone.context())
            await caller.register(link, user)
            links.append(link)
        registered = await _settled(system.pid)
        for _ in range(rounds):
            for link, user in zip(links, system.users, strict=True):
                await caller.register(link, user)
        refreshed = await _settled(system.pid)
        silent = [socket.create_connection(system.enter) for _ in range(half_open)]
        held = await _settled(system.pid)
        for each in silent:
            each.close()
        return _footprint(system, rounds, half_open, (start, registered, refreshed, held))
    finally:
        answerer.close()


def _footprint(system: System, rounds: int, half_open: int, marks: tuple[Usage, Usage, Usage, Usage]) -> Footprint:
    start, registered, refreshed, held = marks
    phones = len(system.users)
    connecting, refreshing = registered.since(start), refreshed.since(registered)
    return Footprint(
        system=system.name,
        phones=phones,
        kB_per_phone=round(connecting.rss / phones / 1024, 1),
        handshake_and_register_ms_cpu=round(1000 * connecting.cpu / phones, 3),
        handshakes_per_core_second=round(phones / connecting.cpu) if connecting.cpu else 0,
        refreshes=rounds * phones,
        refresh_ms_cpu=round(1000 * refreshing.cpu / (rounds * phones), 3),
        half_open=half_open,
        kB_per_half_open=round(held.since(refreshed).rss / half_open / 1024, 2),
    )


async def _settled(pid: int) -> Usage:
    await asyncio.sleep(SETTLE)
    return usage(pid)
