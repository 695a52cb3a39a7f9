"""A media worker that dies ends its calls with a cause, and the next call has a new one."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.behaviour.stage import Stage, over
from tests.waiting import until


def test_its_calls_end_with_a_cause_and_the_next_call_works(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            call, far = await stage.call()
            (worker,) = stage.workers()
            os.kill(worker, signal.SIGKILL)
            await until(lambda: over(call) and over(far))
            await until(lambda: "media-lost" in stage.log.read_text())
            assert "media.worker.lost" in stage.log.read_text()
            again, _ = await stage.call()
            assert stage.workers() != (worker,)
            await again.hang_up()

    asyncio.run(scene())
