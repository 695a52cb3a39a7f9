"""The first SIGTERM lets calls finish and takes no new ones; the limit or a second SIGTERM ends them."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from cubelab.agent.voice_call import CallFailed
from tests.behaviour.stage import Stage, over
from tests.waiting import until


def test_calls_finish_and_new_ones_are_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            call, far = await stage.call("1001")
            stage.signal(signal.SIGTERM)
            await until(lambda: "proxy.draining" in stage.log.read_text())
            refused = await stage.phones["1002"].call("3001")
            with pytest.raises(CallFailed) as caught:
                await refused.answered()
            assert caught.value.status == 503
            assert "SIP Service is Shutdown" in caught.value.warning
            heard = call.voice.counters.received, far.voice.counters.received
            await until(lambda: call.voice.counters.received > heard[0] + 25)
            await until(lambda: far.voice.counters.received > heard[1] + 25)
            await call.hang_up()
            assert await stage.exit_code() == 0
            assert over(far)

    asyncio.run(scene())


def test_the_limit_ends_calls_at_both_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, "--drain", "0.5") as stage:
            call, far = await stage.call()
            stage.signal(signal.SIGTERM)
            await until(lambda: over(call) and over(far))
            assert await stage.exit_code() == 0

    asyncio.run(scene())


def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, "--drain", "600") as stage:
            call, far = await stage.call()
            stage.signal(signal.SIGTERM)
            await until(lambda: "proxy.draining" in stage.log.read_text())
            stage.signal(signal.SIGTERM)
            assert await stage.exit_code() == 0
            await until(lambda: over(call) and over(far))

    asyncio.run(scene())
