"""Classic IOS with no farm and an rtpengine: the engine stands between SRTP and RTP, or there is no call."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from cubelab.agent.leg import State
from cubelab.agent.voice_call import VoiceCall
from cubelab.audio.tones import listen
from tests.behaviour.stage import Stage
from tests.behaviour.test_dsp_farm import IOS, assert_not_configured, refused
from tests.behaviour.transcoders.engine import RtpengineProcess
from tests.waiting import until

PHONE_SAYS, CORE_SAYS = 440, 1000  # Hz


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python media worker, which is everywhere: the engine beside it is judged here."""
    monkeypatch.setenv("CUBEPROXY_MEDIA", "python")


async def heard(*calls: tuple[VoiceCall, int]) -> None:
    """Each hears its tone for a second."""
    for call, _hertz in calls:
        call.voice.recording.clear()
    before = [call.voice.counters.received for call, _hertz in calls]
    await until(
        lambda: all(
            call.voice.counters.received > count + 60 for (call, _hertz), count in zip(calls, before, strict=True)
        )
    )
    for call, hertz in calls:
        assert listen(call.voice.recording.samples(), hertz).heard


async def order(stage: Stage, verb: str, engine: RtpengineProcess) -> None:
    """`cubeproxy rtpengine VERB HOST:PORT`."""
    words = ("rtpengine", verb, engine.settings.name, "--control", str(stage.proxy.control))
    command = [sys.executable, "-m", "cubeproxy.cli.main", *words]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def answering(stage: Stage, engines: int) -> None:
    await until(lambda: stage.log.read_text().count("rtpengine.up") >= engines)


def test_a_call_goes_over_an_rtpengine_and_nobody_notices(tmp_path: Path) -> None:
    async def run() -> None:
        engine = RtpengineProcess(tmp_path)
        async with Stage(tmp_path, "--rtpengine", engine.settings.name, config=IOS) as stage:
            assert f"rtpengine {engine.settings.name}" in stage.log.read_text()
            assert_not_configured(*await refused(stage))
            async with engine:
                await answering(stage, 1)
                call, far = await stage.call()
                await heard((call, CORE_SAYS), (far, PHONE_SAYS))
                legs = re.findall(r"SRTP: (\w+)", await stage.proxy.show("call active voice brief"))
                assert legs == ["on", "off"]
                shown = await stage.proxy.show("rtpengine")
                assert re.search(rf"{engine.settings.name} +up +1 +1 +1000", shown), shown
                assert "active" in await stage.proxy.show("rtpengine sessions")
                assert "1 of 1 answer" in await stage.proxy.show("version")
                assert engine.sessions == 1
                await call.hold()
                await call.resume()
                await heard((call, CORE_SAYS), (far, PHONE_SAYS))
                await order(stage, "drain", engine)
                status, warning = await refused(stage)
                assert (status, "Transcoder reservation failure" in warning) == (503, True)
                await heard((call, CORE_SAYS), (far, PHONE_SAYS))
                assert "draining" in await stage.proxy.show("rtpengine")
                await order(stage, "resume", engine)
                await call.hang_up()
                await until(lambda: engine.sessions == 0)
            await until(lambda: "rtpengine.lost" in stage.log.read_text(), patience=15)
            assert_not_configured(*await refused(stage))

    asyncio.run(run())


def test_a_call_survives_the_engine_that_carried_it(tmp_path: Path) -> None:
    """Killed: the other one takes the call, under keys that have protected nothing yet, by one re-INVITE."""

    async def run() -> None:
        engines = RtpengineProcess(tmp_path), RtpengineProcess(tmp_path)
        options = [word for engine in engines for word in ("--rtpengine", engine.settings.name)]
        async with Stage(tmp_path, *options, config=IOS) as stage, engines[0], engines[1]:
            await answering(stage, 2)
            call, far = await stage.call()
            (carrier,) = (engine for engine in engines if engine.sessions)
            (other,) = (engine for engine in engines if engine is not carrier)
            await carrier.stop()
            await until(lambda: other.sessions == 1, patience=15)
            await heard((call, CORE_SAYS), (far, PHONE_SAYS))
            assert call.leg.state is not State.ENDED
            await call.hang_up()
            await until(lambda: other.sessions == 0)

    asyncio.run(run())
