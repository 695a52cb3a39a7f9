"""Classic IOS with no farm and an rtpengine: the engine stands between SRTP and RTP, or there is no call."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from tests.behaviour.stage import Stage, over, the_right_tones
from tests.behaviour.test_dsp_farm import IOS, assert_not_configured, refused
from tests.behaviour.transcoders.engine import RtpengineProcess
from tests.waiting import until


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
                await the_right_tones(call, far)
                legs = re.findall(r"SRTP: (\w+)", await stage.proxy.show("call active voice brief"))
                assert legs == ["on", "off"]
                shown = await stage.proxy.show("rtpengine")
                assert re.search(rf"{engine.settings.name} +up +1 +1 +1000", shown), shown
                assert "active" in await stage.proxy.show("rtpengine sessions")
                assert "1 of 1 answer" in await stage.proxy.show("version")
                assert engine.sessions == 1
                await call.hold()
                await call.resume()
                await the_right_tones(call, far)
                await order(stage, "drain", engine)
                status, warning = await refused(stage)
                assert (status, "Transcoder reservation failure" in warning) == (503, True)
                await the_right_tones(call, far)
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
            await the_right_tones(call, far)
            assert not over(call)
            await call.hang_up()
            await until(lambda: other.sessions == 0)

    asyncio.run(run())
