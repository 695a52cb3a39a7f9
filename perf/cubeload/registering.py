"""Registrations: refreshes on open connections, and new connections with a mutual handshake and a first REGISTER.

Both are closed loops: every worker sends its next request when the last one is answered, so that the rate is what the
system (or the generator, which is said) can do.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field

from cubeload.answering import Answerer
from cubeload.links import Link, StreamLink, open_tls
from cubeload.measure import SYSTEM_CORE
from cubeload.messages import read, request
from cubeload.processes import Split, pin, split
from cubeload.systems import Phone, System

PATIENCE = 8.0  # s, for each answer
AT_ONCE = 8  # handshakes under way
WARM_UP = 1.0  # s


@dataclass(slots=True)
class Rate:
    """What a closed loop reached. `generator_cores` near 1.0 says that the generator was the limit."""

    system: str
    what: str
    seconds: float
    done: int
    failed: dict[str, int]
    asked_of_core: int  # REGISTERs that arrived at the core side, retransmitted ones too, warm-up left out
    per_second: float
    cpu_ms_each: float
    per_second_and_core: float  # computed from the CPU time: what one core could do of this alone
    answer_ms_p50: float
    answer_ms_p99: float
    cores_used: float
    generator_cores: float
    cores_used_by_others: float
    tls: str

    def row(self) -> dict[str, object]:
        return asdict(self)


@dataclass(slots=True)
class Tally:
    times: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)


Worker = Callable[["Registered", float, Tally], Awaitable[None]]  # works until that time (s, monotonic)


class Registered:
    """One phone: registers, refreshes in its own Call-ID with a growing CSeq, and may come back on a new connection."""

    def __init__(self, phone: Phone, system: System) -> None:
        self.phone, self.system = phone, system
        self.link: StreamLink | None = None
        self.tls = ""  # version of the last connection
        self._call_id = f"{time.time_ns():x}-{phone.user}@{phone.host}"
        self._cseq = 0
        self._waiting: asyncio.Future[int] | None = None
        assert phone.tls is not None
        self._context = phone.tls.context()

    async def connect(self) -> None:
        link = await open_tls(self._received, self.phone.host, self.system.enter, self._context)
        self.link, self.tls = link, link.tls

    async def register(self) -> int:
        """The status of the answer; TimeoutError when none comes."""
        assert self.link is not None
        self._cseq += 1
        self._waiting = asyncio.get_running_loop().create_future()
        domain, user = self.system.domain, self.phone.user
        self.link.send(
            request(
                self.link,
                "REGISTER",
                f"sip:{domain}",
                user=user,
                to=f"<sip:{user}@{domain}>",
                call_id=self._call_id,
                cseq=self._cseq,
                rows="Expires: 3600\r\n",
            )
        )
        return await asyncio.wait_for(self._waiting, PATIENCE)

    async def close(self) -> None:
        if self.link is not None:
            await self.link.finish()
            self.link = None

    def _received(self, link: Link, data: bytes, source: tuple[str, int]) -> None:
        message, waiting = read(data), self._waiting
        if message is None or waiting is None or waiting.done():
            return
        if message.status >= 200 and message.cseq == self._cseq:
            waiting.set_result(message.status)


async def refreshes(system: System, seconds: float) -> Rate:
    """Every phone of the system keeps one REGISTER under way on its open connection."""
    phones = [Registered(phone, system) for phone in system.phones]

    async def one(phone: Registered, until: float, tally: Tally) -> None:
        while time.monotonic() < until:
            await _timed(phone.register(), tally)

    async with core_side(system) as core:
        for phone in phones:
            await phone.connect()
        rate = await _loop(system, core, "REGISTER on an open connection", phones, one, seconds, len(phones))
        for phone in phones:
            await phone.close()
        return rate


async def handshakes(system: System, seconds: float) -> Rate:
    """Phones in turn connect, shake hands with their own certificate, register and close. No session is resumed."""
    phones = [Registered(phone, system) for phone in system.phones]
    turn = itertools.cycle(phones)

    async def one(_: Registered, until: float, tally: Tally) -> None:
        while time.monotonic() < until:
            phone = next(turn)
            await _timed(_anew(phone), tally)
            await phone.close()

    async with core_side(system) as core:
        what = "connect, mutual handshake, REGISTER, close"
        return await _loop(system, core, what, phones, one, seconds, min(AT_ONCE, len(phones)))


async def _anew(phone: Registered) -> int:
    await phone.connect()
    return await phone.register()


async def _timed(doing: Awaitable[int], tally: Tally) -> None:
    began = time.monotonic()
    try:
        status = await doing
    except (TimeoutError, OSError) as error:
        tally.failed[type(error).__name__] += 1
        return
    if status == 200:
        tally.times.append(time.monotonic() - began)
    else:
        tally.failed[str(status)] += 1


async def _loop(
    system: System,
    core: Answerer,
    what: str,
    phones: list[Registered],
    one: Worker,
    seconds: float,
    at_once: int,
) -> Rate:
    await asyncio.gather(*(one(worker, time.monotonic() + WARM_UP, Tally()) for worker in phones[:at_once]))
    tally, asked = Tally(), core.requests["REGISTER"]
    before, own = split(system.pid), time.process_time()
    await asyncio.gather(*(one(worker, before.signalling.at + seconds, tally) for worker in phones[:at_once]))
    used = split(system.pid).since(before)
    generator = time.process_time() - own
    tls = next((each.tls for each in phones if each.tls), "")
    return _rate(system, what, tally, used, generator, core.requests["REGISTER"] - asked, tls)


def _rate(system: System, what: str, tally: Tally, used: Split, generator: float, asked: int, tls: str) -> Rate:
    done, took = len(tally.times), used.signalling.at
    cpu = used.signalling.cpu + used.media.cpu
    times = sorted(tally.times) or [float("nan")]
    each = cpu / max(1, done)
    return Rate(
        system=system.name,
        what=what,
        seconds=round(took, 2),
        done=done,
        failed=dict(tally.failed),
        asked_of_core=asked,
        per_second=round(done / took, 1),
        cpu_ms_each=round(1000 * each, 3),
        per_second_and_core=round(1 / each) if each else 0,
        answer_ms_p50=round(1000 * times[len(times) // 2], 2),
        answer_ms_p99=round(1000 * times[int(0.99 * (len(times) - 1))], 2),
        cores_used=round(cpu / took, 2),
        generator_cores=round(generator / took, 2),
        cores_used_by_others=round(max(0.0, used.others) / took, 2),
        tls=tls,
    )


@contextlib.asynccontextmanager
async def core_side(system: System) -> AsyncIterator[Answerer]:
    """The first answerer; a proxy asks the best node only."""
    pin(system.pid, SYSTEM_CORE)
    answerers = [Answerer(host, (host, 40000)) for host, _ in system.core]
    for answerer, (_, port) in zip(answerers, system.core, strict=True):
        await answerer.open(port)
    try:
        yield answerers[0]
    finally:
        for answerer in answerers:
            answerer.close()
