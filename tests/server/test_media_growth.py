"""Sessions come and go and leave nothing behind, in any worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from cubeproxy.protocols.values import MediaReserved, ReleaseMedia, UpdateMedia
from tests.media import builds
from tests.media.phones import Phone, key

from .media_lab import Exchange, live, running

CALLS = int(os.environ.get("CUBEPROXY_SOAK_CALLS", "100000"))
PARALLEL = 20
LEAST_LEAK = 16  # octets a call: what leaks at all leaks more
HEAP = 512  # KiB by which a heap may still find its size: io_uring gives closed sockets back with a delay


@pytest.fixture(params=["epoll", "io_uring"], autouse=True)
def native(request: pytest.FixtureRequest) -> Iterator[None]:
    if builds.missing():
        pytest.skip(builds.missing())
    chosen = {"CUBEPROXY_MEDIA": request.param, "CUBEPROXY_MEDIA_WORKER": str(builds.worker())}
    with mock.patch.dict(os.environ, chosen):
        yield


def private_kib(lab: Exchange) -> int:
    (pid,) = lab.service.workers.values()
    return int(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0])


async def come_and_go(lab: Exchange, calls: int) -> None:
    """Each is negotiated twice, under other keys."""
    for number in range(calls // PARALLEL):
        sessions = [await lab.ask() for _ in range(PARALLEL)]
        for reserved in sessions:
            assert isinstance(reserved, MediaReserved)
            for turn in (0, 1):
                phone = Phone(("127.0.40.3", 40000), key(number + turn), key(number + turn + 1))
                core = Phone(("127.0.40.4", 40000))
                lab.service.handle(UpdateMedia(reserved.session, (phone.spec(), core.spec())))
            lab.service.handle(ReleaseMedia(reserved.session))
    (await lab.call()).talk()  # all is obeyed


@pytest.mark.soak
@live
async def test_call_after_call_leaves_no_memory_and_no_descriptor_behind() -> None:
    async with running(rest=0.0) as lab:
        await come_and_go(lab, CALLS // 10)
        (pid,) = lab.service.workers.values()
        before, descriptors = private_kib(lab), len(os.listdir(f"/proc/{pid}/fd"))
        await come_and_go(lab, CALLS)
        assert private_kib(lab) - before < CALLS * LEAST_LEAK // 1024 + HEAP
        assert len(os.listdir(f"/proc/{pid}/fd")) == descriptors + 4
