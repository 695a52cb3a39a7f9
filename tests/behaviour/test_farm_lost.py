"""A DSP farm is killed with calls on it: another one takes them, or they end; nobody is left half way.

What a listener missed is counted in packets that were said and not heard, 20 ms each: the speaker's own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from cubelab.agent.voice_call import VoiceCall
from tests.behaviour.farm import FarmProcess
from tests.behaviour.stage import Stage, heard_again, over, silent, speak, the_right_tones
from tests.behaviour.test_dsp_farm import changed, refused
from tests.media import builds
from tests.waiting import until

TWO_SECONDS = 100  # packets
WRAP = 65_536


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the proxy and of its farms; native where a test does not say."""
    chosen = getattr(request, "param", "native")
    monkeypatch.setenv("CUBEPROXY_MEDIA", chosen)
    if chosen == "native":
        if builds.missing():
            pytest.skip(builds.missing())
        monkeypatch.setenv("CUBEPROXY_MEDIA_WORKER", str(builds.worker("plain")))


@asynccontextmanager
async def two_farms(
    folder: Path, first: int = 24, second: int = 24
) -> AsyncIterator[tuple[Stage, FarmProcess, FarmProcess]]:
    """The lab with two farms of so many sessions each; the first call goes to the first."""
    tags = "sdspfarm tag 1 CUBEXCODE\n sdspfarm tag 2 OTHERXCODE"
    box = changed(folder, ("sdspfarm units 1", "sdspfarm units 2"), ("sdspfarm tag 1 CUBEXCODE", tags))
    box = box.rename(folder / "box.ios")
    sizes = [("maximum sessions 24", f"maximum sessions {size}") for size in (first, second)]
    one = changed(folder, sizes[0]).rename(folder / "one.ios")
    other = changed(folder, sizes[1], ("register CUBEXCODE", "register OTHERXCODE")).rename(folder / "other.ios")
    async with (
        Stage(folder, config=str(box)) as stage,
        FarmProcess(stage, config=one, name="one") as farm,
        FarmProcess(stage, config=other, name="other") as spare,
    ):
        yield stage, farm, spare


async def missed(stage: Stage, call: VoiceCall, far: VoiceCall) -> tuple[int, int]:
    """Packets of the phone that the core has not heard until now, and the other way round. Then they speak again."""
    said, heard, far_said, far_heard = await silent(stage, call, far)
    speak(stage, call, far)
    return said - far_heard, far_said - heard


def rekeyed(call: VoiceCall, rounds: int) -> bool:
    """So many offers were answered in all."""
    return call.rounds == rounds


def hears_under(call: VoiceCall) -> bytes:
    """The master key of what the phone is sent."""
    assert call.session is not None
    assert call.session.receive_key is not None
    return call.session.receive_key.master


async def idle(stage: Stage) -> None:
    """No call and no session is left."""
    await until(lambda: "call.ended" in stage.log.read_text())
    assert "session(s) 0, and connection(s) 0" in await stage.proxy.show("sccp connections")


KEEPS, CHANGES, ROLLS_ON = "keeps its key", "changes it", "changes it and keeps its rollover"


@pytest.mark.parametrize(
    ("engine", "phone", "wraps"),
    [
        ("native", KEEPS, 0),
        ("native", KEEPS, 2),
        ("native", CHANGES, 2),
        ("native", ROLLS_ON, 2),
        ("python", KEEPS, 2),
        ("python", CHANGES, 2),
    ],
    indirect=["engine"],
)
def test_a_call_is_heard_again_within_two_seconds(tmp_path: Path, phone: str, wraps: int) -> None:
    async def run() -> None:
        async with two_farms(tmp_path) as (stage, farm, _):
            call, far = await stage.call()
            call.negotiation.renews = phone != KEEPS
            call.voice.keeps_rollover = phone == ROLLS_ON
            call.voice.skip(wraps * WRAP)
            await heard_again(call, far)
            before = await missed(stage, call, far)
            await farm.kill()
            await until(lambda: "moved=1" in stage.log.read_text())
            await heard_again(call, far)
            after = await missed(stage, call, far)
            assert after[0] - before[0] <= TWO_SECONDS, "the core missed the phone for longer"
            assert after[1] - before[1] <= TWO_SECONDS, "the phone missed the core for longer"
            await the_right_tones(call, far)
            assert call.rounds == 2, "one re-INVITE"
            assert far.rounds == 1
            assert "OTHERXCODE" in await stage.proxy.show("sdspfarm units")
            await call.hang_up()
            await until(lambda: over(far))
            await idle(stage)

    asyncio.run(run())


def test_a_farm_whose_media_worker_dies_gives_the_call_to_another_or_takes_it_again(tmp_path: Path) -> None:
    """The farm stays registered and says so of each stream (MediaTransmissionFailure)."""

    async def run() -> None:
        async with two_farms(tmp_path) as (stage, farm, spare):
            call, far = await stage.call()
            call.voice.skip(2 * WRAP)
            await heard_again(call, far)
            for rounds, carrier in ((2, farm), (3, spare)):
                before = await missed(stage, call, far)
                carrier.kill_workers()
                await until(partial(rekeyed, call, rounds))
                await heard_again(call, far)
                after = await missed(stage, call, far)
                assert max(after[0] - before[0], after[1] - before[1]) <= TWO_SECONDS
                await the_right_tones(call, far)
                if carrier is farm:
                    await farm.stop()  # what the other one loses next can go nowhere else
            assert "farm.lost" in stage.log.read_text()
            await call.hang_up()
            await until(lambda: over(far))
            await idle(stage)

    asyncio.run(run())


def test_one_farm_after_the_other(tmp_path: Path) -> None:
    """Each time with a key that no farm had; the first one is back when the second is lost."""

    async def run() -> None:
        async with two_farms(tmp_path) as (stage, farm, spare):
            call, far = await stage.call()
            call.voice.skip(2 * WRAP)
            keys = {hears_under(call)}
            await farm.kill()
            await until(lambda: call.rounds == 2)
            keys.add(hears_under(call))
            await heard_again(call, far)
            async with FarmProcess(stage, config=tmp_path / "one.ios", name="again"):
                before = await missed(stage, call, far)
                await spare.kill()
                await until(lambda: call.rounds == 3)
                keys.add(hears_under(call))
                await heard_again(call, far)
                after = await missed(stage, call, far)
                assert max(after[0] - before[0], after[1] - before[1]) <= TWO_SECONDS
                await the_right_tones(call, far)
                assert len(keys) == 3
                await call.hang_up()
                await until(lambda: over(far))
                await idle(stage)

    asyncio.run(run())


def test_calls_of_the_other_farm_notice_nothing_and_room_comes_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_farms(tmp_path, 2, 2) as (stage, farm, _):
            moves, moves_far = await stage.call("1001")
            stays, stays_far = await stage.call("1002")
            before = await missed(stage, stays, stays_far)
            await farm.kill()
            await until(lambda: "moved=1" in stage.log.read_text())
            await heard_again(moves, moves_far, stays, stays_far, packets=50)
            assert await missed(stage, stays, stays_far) == before
            assert stays.rounds == 1
            assert (await refused(stage))[0] == 503, "the farm that is left is full"
            await moves.hang_up()
            await until(lambda: over(moves_far))
            again, _ = await stage.call("1001")
            await again.hang_up()
            await stays.hang_up()
            await until(lambda: over(stays_far))
            await idle(stage)

    asyncio.run(run())


def test_without_room_a_call_ends_on_both_sides_and_the_others_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_farms(tmp_path, 1, 1) as (stage, farm, _):
            ends, ends_far = await stage.call("1001")
            stays, stays_far = await stage.call("1002")
            await farm.kill()
            await until(lambda: over(ends) and over(ends_far))
            assert "ended: pool-full" in stage.log.read_text()
            await heard_again(stays, stays_far)
            await stays.hang_up()
            await until(lambda: over(stays_far))
            again, again_far = await stage.call("1001")
            await again.hang_up()
            await until(lambda: over(again_far))
            await idle(stage)

    asyncio.run(run())
