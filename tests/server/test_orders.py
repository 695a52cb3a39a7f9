"""Orders over the control socket: rtpengines in and out of service."""

from __future__ import annotations

from cubeproxy.media.transcoders.ng_engine import EngineSettings, exposed
from cubeproxy.media.transcoders.rtpengine import Rtpengines
from cubeproxy.protocols.values import Event
from cubeproxy.server.orders import Orders

NAME = "203.0.113.9:2223"


def orders(engines: Rtpengines | None) -> tuple[Orders, list[Event]]:
    told: list[Event] = []
    return Orders(engines, lambda line: f"shown {line}", told.append), told


def test_an_engine_is_drained_and_taken_back() -> None:
    engines = Rtpengines([EngineSettings.parse(NAME)], "203.0.113.1")
    box, told = orders(engines)
    assert box.answer(f"do rtpengine drain {NAME}") == f"rtpengine {NAME} gets no new sessions\n"
    assert engines.engines[0].draining
    assert box.answer(f"do rtpengine resume {NAME}") == f"rtpengine {NAME} is back in service\n"
    assert not engines.engines[0].draining
    assert [event.name for event in told] == ["rtpengine.draining", "rtpengine.resumed"]


def test_what_is_not_there_is_named() -> None:
    for engines in (None, Rtpengines([EngineSettings.parse(NAME)], "203.0.113.1")):
        box, told = orders(engines)
        assert box.answer("do rtpengine drain 192.0.2.1:1").startswith("% no rtpengine 192.0.2.1:1")
        assert told == []


def test_other_orders_are_refused_and_other_lines_shown() -> None:
    box, _told = orders(None)
    for line in ("do", "do rtpengine", "do rtpengine drain", "do rtpengine stop x", "do reload now"):
        assert box.answer(line).startswith("% do rtpengine")
    assert box.answer("rtpengine drain x") == "shown rtpengine drain x"
    assert box.answer("") == "shown "


def test_an_engine_on_another_host_is_told_of() -> None:
    assert exposed(EngineSettings.parse("127.0.0.9"), "127.0.0.1") is None
    assert exposed(EngineSettings.parse("192.0.2.1"), "192.0.2.1") is None
    event = exposed(EngineSettings.parse("192.0.2.9"), "192.0.2.1")
    assert event is not None
    assert (event.name, "keys travel" in event.text) == ("rtpengine.exposed", True)
