"""SIGKILL of the signalling process: established calls keep their audio, both ways and whole, until the lease ends."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.behaviour.stage import Stage, alive, silent, speak
from tests.waiting import until


def test_audio_goes_on_without_loss(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            call, far = await stage.call()
            (worker,) = stage.workers()
            said, heard, far_said, far_heard = await silent(stage, call, far)  # set-up may have cost a packet
            lost = said - far_heard, far_said - heard
            speak(stage, call, far)
            stage.signal(signal.SIGKILL)
            await stage.exit_code()
            await until(lambda: min(call.voice.counters.sent - said, far.voice.counters.sent - far_said) > 100)
            said, heard, far_said, far_heard = await silent(stage, call, far)
            assert alive(worker)
            assert (said - far_heard, far_said - heard) == lost

    asyncio.run(scene())


def test_the_lease_ends_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, "--lease", "2") as stage:
            call, _ = await stage.call()
            (worker,) = stage.workers()
            stage.signal(signal.SIGKILL)
            await stage.exit_code()
            assert alive(worker)
            await until(lambda: not alive(worker))
            heard = call.voice.counters.received
            sent = call.voice.counters.sent
            await until(lambda: call.voice.counters.sent > sent + 10)
            assert call.voice.counters.received <= heard + 1

    asyncio.run(scene())
