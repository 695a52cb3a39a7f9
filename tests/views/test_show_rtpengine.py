"""Shows of rtpengines, over a real pool."""

from __future__ import annotations

from cubeproxy.media.transcoders.pool import TranscoderPool
from cubeproxy.views.show import Show
from cubeproxy.views.sources import NO_COUNTERS, Sources
from tests.border.scene import Scene, sample
from tests.media.transcoders.ng_scene import NgBox


def show(pool: TranscoderPool | None, command: str) -> list[str]:
    scene = Scene(sample("sample-a.ios"))
    sources = Sources(scene.config, scene.border, lambda: 100.0, lambda _session: NO_COUNTERS, 0.0, transcoders=pool)
    return [" ".join(line.split()) for line in Show(sources).answer(command).splitlines()]


def box() -> NgBox:
    found = NgBox("203.0.113.9:2223,weight=2", "203.0.113.10:2223,sessions=1")
    found.call()
    found.until(found.now + 8)
    return found


def test_engines_and_what_they_carry() -> None:
    found = box()
    assert show(found.pool, "show rtpengine")[1:3] == [
        "203.0.113.9:2223 up 2 1 1000 1 1 106 s",
        "203.0.113.10:2223 up 1 0 1 0 0 106 s",
    ]
    assert show(found.pool, "show rtpengine")[-1] == "from 203.0.113.1: sessions 1, failed 0, moved 0"
    found.member.drain("203.0.113.9:2223")
    found.engines[1].alive = False
    found.until(found.now + 10)
    states = [line.split()[1] for line in show(found.pool, "show rtpengine")[1:3]]
    assert states == ["draining", "down"]


def test_sessions() -> None:
    found = box()
    line = show(found.pool, "show rtpengine sessions")[1].split()
    assert line[:3] == ["1", "203.0.113.9:2223", "active"]
    assert [part.rpartition(":")[0] for part in line[3:5]] == ["203.0.113.9"] * 2
    assert line[5:] == ["12", "3"]


def test_the_version_tells_of_them() -> None:
    assert "rtpengine: 2 of 2 answer: 203.0.113.9:2223, 203.0.113.10:2223" in show(box().pool, "show version")


def test_without_any_the_flag_is_named() -> None:
    for command in ("show rtpengine", "show rtpengine sessions"):
        assert "--rtpengine" in show(TranscoderPool([]), command)[0]
    assert not any("rtpengine" in line for line in show(None, "show version"))
