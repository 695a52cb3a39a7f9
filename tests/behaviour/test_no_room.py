"""A proxy says at its start how many calls fit, and refuses the next one instead of running out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cubelab import data
from cubelab.agent.voice_call import CallFailed
from tests.behaviour.stage import ENDPOINT, Stage
from tests.waiting import until

CALLS = 3


def narrow(folder: Path) -> Path:
    """The sample with ports for three calls."""
    text = data.config("sample-a-xe.ios").read_text()
    path = folder / "narrow.ios"
    path.write_text(text.replace("voice service voip\n", "voice service voip\n rtp-port range 17000 17005\n", 1))
    return path


def test_the_call_after_the_last_that_fits_gets_503_and_those_before_it_talk_on(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path, "--log-format", "json")
        stage.proxy.arguments[1] = str(narrow(tmp_path))
        async with stage:
            calls = [(await stage.call())[0] for _ in range(CALLS)]
            call = await stage.phones["1002"].call(ENDPOINT)
            with pytest.raises(CallFailed) as refused:
                await call.answered()
            assert refused.value.status == 503
            heard = [each.voice.counters.received for each in calls]
            later = [then + 25 for then in heard]
            await until(lambda: all(each.voice.counters.received > n for each, n in zip(calls, later, strict=True)))
            events = [json.loads(line) for line in stage.log.read_text().splitlines() if line.startswith("{")]
            (room,) = [event for event in events if event["event"] == "media.room"]
            assert room["calls"] == room["by_ports"] == CALLS
            assert f"room for {CALLS} calls" in room["text"]
            assert "503" not in room["text"]
            assert any(event["event"] == "media.engine" for event in events)
            (told,) = [event for event in events if event.get("cause") == "no-ports"]
            assert told["fix"] == "widen `rtp-port range`"
            for each in calls:
                await each.hang_up()

    asyncio.run(scene())
