"""What a phone, a connection that goes no further, and a call cost in memory.

Resident memory of one process is read with few and with many of them; the difference over the difference in number is
the figure, so that what the process costs anyway, and the first allocations, drop out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from cubeload.measure import Loaded
from cubeload.processes import rss, tree
from cubeload.registering import Registered, core_side
from cubeload.systems import System

SETTLE = 1.5  # s, for work that was put off
PER_ADDRESS = 500  # connections from one source address; the proxy counts slots by it
SHAKING_PER_ADDRESS = 50
SILENT, BEGUN, SHAKING = "silent", "one octet sent", "stopped after its ClientHello"


@dataclass(slots=True)
class Cost:
    """`kB_each` (1024 octets) in `process`, between `few` and `many`; `held` of them were still open at the end."""

    system: str
    what: str
    process: str
    few: int
    many: int
    held: int
    kB_each: float
    rss_MiB_with_many: float

    def row(self) -> dict[str, object]:
        return asdict(self)


def cost(system: System, what: str, process: str, counts: tuple[int, int, int], octets: tuple[int, int]) -> Cost:
    few, many, held = counts
    each = (octets[1] - octets[0]) / max(1, many - few) / 1024
    return Cost(system.name, what, process, few, many, held, round(each, 2), round(octets[1] / 2**20, 1))


async def phones(system: System, few: int) -> Cost:
    """All phones of the system connect and register; memory is read when `few` have, and when all have."""
    everybody = [Registered(phone, system) for phone in system.phones]
    async with core_side(system):
        before = 0
        for number, phone in enumerate(everybody):
            if number == few:
                before = await _settled(system)
            await phone.connect()
            status = await phone.register()
            if status != 200:
                raise RuntimeError(f"REGISTER of {phone.phone.user}: {status}")
        after = await _settled(system)
        held = sum(phone.link is not None and not phone.link.closed for phone in everybody)
        for phone in everybody:
            await phone.close()
    return cost(system, "registered phone over TLS", "signalling", (few, len(everybody), held), (before, after))


async def half_open(system: System, kind: str, few: int, many: int) -> Cost:
    """Connections that stop: silent ones, ones that sent the first octet of a TLS record, ones in a handshake."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        places = _sources(SHAKING_PER_ADDRESS if kind == SHAKING else PER_ADDRESS)
        before = 0
        for number in range(many):
            if number == few:
                before = await _settled(system)
            sock = socket.create_connection(system.enter, 5, source_address=(next(places), 0))
            stack.callback(sock.close)
            sockets.append(sock)
            if kind != SILENT:
                sock.sendall(client_hello()[: 1 if kind == BEGUN else None])
            if number % 20 == 0:
                await asyncio.sleep(0.002)  # the listener's backlog is no part of this
        after = await _settled(system)
        held = sum(_open(sock) for sock in sockets)
    return cost(system, f"half-open connection, {kind}", "signalling", (few, many, held), (before, after))


async def calls(system: System, few: int, many: int, rate: float) -> list[Cost]:
    """Calls that are up, without media packets: in the signalling process and in the media worker."""
    async with Loaded(system, hold=600) as loaded:
        caller = loaded.caller
        marks: list[list[int]] = []
        for wanted in (few, many):
            await caller.start(rate, wanted - len(caller.calls))
            await caller.up(wanted)
            await asyncio.sleep(SETTLE)
            marks.append([rss(process.pid) for process in tree(system.pid)])
        held = len(caller.calls)
        await caller.hang_up()
        if caller.outcome.failed:
            raise RuntimeError(f"calls failed: {dict(caller.outcome.failed)}")
    counts = (few, many, held)
    signalling = cost(system, "call that is up", "signalling", counts, (marks[0][0], marks[1][0]))
    worker = cost(system, "call that is up", "media worker", counts, (sum(marks[0][1:]), sum(marks[1][1:])))
    return [signalling, worker]


def client_hello() -> bytes:
    """A whole first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def _sources(each: int) -> Iterator[str]:
    for number in itertools.count():
        upper, lower = divmod(number // each, 250)
        yield f"127.251.{upper}.{lower + 1}"


def _open(sock: socket.socket) -> bool:
    """Whether the far end has kept it: what it sent is read first."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


async def _settled(system: System) -> int:
    await asyncio.sleep(SETTLE)
    return rss(system.pid)
