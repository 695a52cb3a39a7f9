"""Classic IOS: between SRTP and RTP stands a DSP farm, and without one there is no call."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest

from cubelab import data
from cubelab.agent.voice_call import CallFailed
from tests.behaviour.farm import FarmProcess
from tests.behaviour.stage import Stage, over, silent, speak
from tests.waiting import until

IOS = "sample-a.ios"


def assert_not_configured(status: int, warning: str) -> None:
    assert status == 500
    assert "Transcoder Not Configured" in warning


def assert_four_legs(text: str, core: str) -> None:
    """Two of SIP, two towards the farm: the clear one first, each with the counters of its SIP leg."""
    for total in ("SIP call-legs: 2", "SCCP call-legs: 2", "Total call-legs: 4"):
        assert text.count(total) == 2
    legs = re.findall(r"pid:(\d+) \w+ (\S*) *(\w+)\n dur \S+ tx:(\d+)/.* rx:(\d+)/.*\n IP (\S+) SRTP: (\w+)", text)
    assert [(leg[0] == "0", leg[2], leg[6]) for leg in legs] == [
        (False, "active", "on"), (False, "active", "off"), (True, "connecting", "off"), (True, "connecting", "on"),
    ]  # fmt: skip
    assert [leg[5] for leg in legs[2:]] == [f"{core}:2000"] * 2
    assert legs[2][3:5] == legs[1][3:5]
    assert legs[3][3:5] == legs[0][3:5]


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
                assert_four_legs(await stage.proxy.show("call active voice brief"), stage.network.core)
                assert "session(s) 1, and connection(s) 2" in await stage.proxy.show("sccp connections")
                assert "CUBEXCODE TCP socket:[1]  REGISTERED" in await stage.proxy.show("sdspfarm units")
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


def test_audio_outlives_signalling_and_the_farm_comes_back_when_it_has_ended(tmp_path: Path) -> None:
    """SIGKILL: the hops and the farm's worker go on; the farm keeps its sessions and registers again afterwards."""

    async def run() -> None:
        async with Stage(tmp_path, config=IOS) as stage, FarmProcess(stage) as farm:
            call, far = await stage.call()
            stage.workers()
            said, heard, far_said, far_heard = await silent(stage, call, far)
            lost = said - far_heard, far_said - heard
            speak(stage, call, far)
            stage.signal(signal.SIGKILL)
            await stage.exit_code()
            await until(lambda: min(call.voice.counters.sent - said, far.voice.counters.sent - far_said) > 100)
            said, heard, far_said, far_heard = await silent(stage, call, far)
            assert (said - far_heard, far_said - heard) == lost
            assert "keeps its sessions and lost" in farm.log.read_text()
            await stage.proxy.start()
            await until(lambda: farm.log.read_text().count("registered with") == 2, patience=40)

    asyncio.run(run())


def test_a_drained_farm_lets_its_call_finish(tmp_path: Path) -> None:
    async def run() -> None:
        async with Stage(tmp_path, config=IOS) as stage, FarmProcess(stage) as farm:
            call, far = await stage.call()
            assert farm.process is not None
            farm.process.terminate()
            await asyncio.sleep(0)
            heard = call.voice.counters.received
            await until(lambda: call.voice.counters.received > heard + 50)
            status, warning = await refused(stage)
            assert (status, "Transcoder reservation failure" in warning) == (503, True)
            await call.hang_up()
            await until(lambda: over(far))
            async with asyncio.timeout(10):
                assert await farm.process.wait() == 0

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
