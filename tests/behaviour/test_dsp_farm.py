"""Classic IOS: between SRTP and RTP stands a DSP farm, and without one there is no call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cubelab import data
from cubelab.agent.leg import State
from cubelab.agent.voice_call import CallFailed, VoiceCall
from tests.behaviour.farm import FarmProcess
from tests.behaviour.stage import Stage, until

IOS = "sample-a.ios"


def assert_not_configured(status: int, warning: str) -> None:
    assert status == 500
    assert "Transcoder Not Configured" in warning


def over(call: VoiceCall) -> bool:
    return call.leg.state is State.ENDED


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The sample with lines replaced."""
    text = data.config(IOS).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "changed.ios"
    path.write_text(text)
    return path


async def refused(stage: Stage) -> tuple[int, str]:
    """Status and Warning of a call that must fail."""
    call = await stage.phones["1001"].call("3001")
    with pytest.raises(CallFailed) as failure:
        async with asyncio.timeout(10):
            await call.answered()
    return failure.value.status, failure.value.warning


def test_a_call_goes_through_the_farm_and_ends_with_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with Stage(tmp_path, config=IOS) as stage:
            assert_not_configured(*await refused(stage))
            async with FarmProcess(stage) as farm:
                call, far = await stage.call()
                assert call.voice.counters.received > 10
                assert "SRTP: on" in await stage.proxy.show("call active voice brief")
                await farm.kill()
                await until(lambda: over(call) and over(far))
            assert_not_configured(*await refused(stage))

    asyncio.run(run())


def test_one_session_too_many_is_refused_and_the_other_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with Stage(tmp_path, config=IOS) as stage:
            small = changed(tmp_path, ("maximum sessions 24", "maximum sessions 1"))
            async with FarmProcess(stage, config=small):
                call, far = await stage.call()
                status, warning = await refused(stage)
                assert status == 503
                assert "Transcoder reservation failure during SRTP-RTP I/W" in warning
                before = call.voice.counters.received, far.voice.counters.received
                await until(
                    lambda: (
                        call.voice.counters.received > before[0] + 20 and far.voice.counters.received > before[1] + 20
                    )
                )

    asyncio.run(run())


def test_a_profile_that_is_shut_down_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with Stage(tmp_path, config=IOS) as stage:
            shut = changed(tmp_path, (" associate application SCCP\n no shutdown", " associate application SCCP"))
            async with FarmProcess(stage, config=shut, registers=False) as farm:
                assert farm.process is not None
                assert await farm.process.wait() == 1
                assert "no shutdown" in farm.log.read_text()

    asyncio.run(run())
