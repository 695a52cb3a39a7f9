"""Sessions come and go and leave nothing behind, in any worker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from cubeproxy.protocols.values import MediaReserved, ReleaseMedia, UpdateMedia
from tests.media import builds
from tests.media.phones import Phone, key

from .media_lab import Exchange, running

CALLS = int(os.environ.get("CUBEPROXY_SOAK_CALLS", "1000000"))
PARALLEL = 20
LOCAL, PORTS = ("127.0.47.1", "127.0.47.2"), (27000, 27999)  # beside other tests for an hour
HEAP = {  # KiB by which a heap may still find its size: half an octet a call of a million
    "epoll": 512,
    "io_uring": 512,  # gives closed sockets back with a delay
    "python": 2048,
}


@pytest.fixture(params=HEAP)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    if builds.missing():
        pytest.skip(builds.missing())
    chosen = {"CUBEPROXY_MEDIA": request.param, "CUBEPROXY_MEDIA_WORKER": str(builds.worker())}
    with mock.patch.dict(os.environ, chosen):
        yield request.param


def private_kib(lab: Exchange) -> int:
    (pid,) = lab.service.workers.values()
    return int(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0])


async def come_and_go(lab: Exchange, calls: int) -> None:
    """Each is negotiated twice, under other keys."""
    for number in range(calls // PARALLEL):
        sessions = [await lab.ask(LOCAL) for _ in range(PARALLEL)]
        for reserved in sessions:
            assert isinstance(reserved, MediaReserved)
            for turn in (0, 1):
                phone = Phone(("127.0.40.3", 40000), key(number + turn), key(number + turn + 1))
                core = Phone(("127.0.40.4", 40000))
                lab.service.handle(UpdateMedia(reserved.session, (phone.spec(), core.spec())))
            lab.service.handle(ReleaseMedia(reserved.session))
    (await lab.call(LOCAL)).talk()  # all is obeyed


@pytest.mark.soak
def test_call_after_call_leaves_no_memory_and_no_descriptor_behind(engine: str) -> None:
    """A million of them; a tenth of that through Python, and a tenth of each beforehand."""
    asyncio.run(measured(engine, CALLS if engine != "python" else CALLS // 10))


async def measured(engine: str, calls: int) -> None:
    async with running(rest=0.0, ports=PORTS) as lab:
        await come_and_go(lab, calls // 10)
        (pid,) = lab.service.workers.values()
        before, descriptors = private_kib(lab), len(os.listdir(f"/proc/{pid}/fd"))
        await come_and_go(lab, calls)
        grown = private_kib(lab) - before
        print(f"{engine}: {calls} calls set up and ended, {grown} KiB more than {before} KiB before")
        assert grown < HEAP[engine]
        assert len(os.listdir(f"/proc/{pid}/fd")) == descriptors + 4
