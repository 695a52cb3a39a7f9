"""What the soaks of a farm at its limit have in common: the largest module of the design guide, filled to the brim."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from cubeproxy.media.dsp.capacity import find_module
from cubeproxy.protocols.sccp.session import State
from cubeproxy.protocols.values import MediaRefused
from cubeproxy.server.dsp_farm import Registration
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.farm_plan import plans
from tests.server.media_lab import PATIENCE
from tests.server.test_transcoding import Box, Nowhere, registered, router, running

SECONDS = 60
FRAME = 0.02  # s
MOST_LOST = 0.001
LAG = 4.0  # s that packets may be late at the end, on a machine that does other things


@contextlib.asynccontextmanager
async def largest_module(
    sessions: int, *, workers: int = 1, **changes: object
) -> AsyncIterator[tuple[Box, Registration]]:
    """A box, and its farm with room for so many sessions, registered."""
    given = router(maximum_sessions=500, **changes)
    assert given.telephony is not None
    given.telephony.sdspfarm_transcode_sessions = 256
    given.voice.rtp_ports = (22000, 24999)
    async with running(given) as box:
        (plan,) = plans(given, find_module("PVDM3-256"))
        assert plan.sessions == sessions
        log = EventLog(Nowhere(), clock=asyncio.get_running_loop().time)
        registration = Registration(plan, log, ports=(25000, 26999), workers=workers)
        try:
            await registration.start()
            await registered(registration)
            yield box, registration
        finally:
            await registration.stop()


async def full(box: Box) -> None:
    """There is room for no other call, and all that there are run."""
    refused = await box.reserve()
    assert isinstance(refused, MediaRefused)
    assert refused.cause == "pool-full"
    farms = box.service.pool.farms
    assert farms is not None
    async with asyncio.timeout(PATIENCE):
        while any(one.machine.state is not State.RUNNING for one in farms.sessions.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
