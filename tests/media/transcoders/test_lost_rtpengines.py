"""rtpengines that stop answering, restart or forget: what becomes of their calls, and of what they still have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cubeproxy.protocols.ng.liveness import LOOK
from cubeproxy.protocols.values import MediaLost, MediaMoved
from tests.media.transcoders.ng_scene import NgBox
from tests.media.transcoders.scene import CLEAR, NEXT, SECURE
from tests.media.transcoders.test_rtpengines import TWO, carried, inner


def test_calls_of_a_lost_engine_wait_for_new_keys_and_go_on_at_another() -> None:
    box = NgBox(*TWO)
    session = box.call()
    box.engines[0].alive = False
    box.until(box.now + 10)
    assert isinstance(box.events[-1], MediaMoved)
    assert inner(box, session) == [None, None]
    box.update(session)  # the keys that were used on the lost one
    assert box.engines[1].calls == {}
    box.update(session, replace(SECURE, send_key=NEXT), CLEAR)
    assert carried(box, session)
    assert len(box.engines[1].calls) == 1
    box.engines[0].alive = True
    box.until(box.now + 10)
    assert box.engines[0].calls == {}  # what it still had is over


def test_a_call_whose_keys_were_never_used_goes_on_at_once() -> None:
    box = NgBox(*TWO)
    session = box.reserve()
    box.engines[0].alive = False
    box.update(session)
    box.until(box.now + 10)
    assert carried(box, session)
    assert not any(isinstance(event, MediaMoved) for event in box.events)


def test_without_another_engine_a_call_is_lost() -> None:
    box = NgBox()
    session = box.call()
    box.engines[0].alive = False
    box.until(box.now + 10)
    assert box.events[-1] == MediaLost(session, "rtpengine 203.0.113.9:2223 does not answer", "pool-full")
    assert box.hops == {}


def test_an_engine_that_restarted_between_two_pings_has_lost_its_calls() -> None:
    box = NgBox()
    session = box.call()
    box.until(box.now + 30)
    box.engines[0].calls.clear()
    box.engines[0].started = box.now
    box.until(box.now + 2 * LOOK)
    assert box.events[-1] == MediaMoved(session, "rtpengine 203.0.113.9:2223 has restarted")
    box.update(session, replace(SECURE, send_key=NEXT), CLEAR)
    assert carried(box, session)


def test_an_engine_that_was_away_and_restarted_is_lost_once() -> None:
    """A call that it got since it is back stays there."""
    box = NgBox()
    box.until(box.now + LOOK)
    box.engines[0].alive = False
    box.until(box.now + 10)
    box.engines[0].started = box.now
    box.engines[0].alive = True
    while not box.member.engines[0].up:
        box.ring()
    session = box.call()
    box.until(box.now + 3 * LOOK)
    assert carried(box, session)
    assert [event.name for event in box.told] == ["rtpengine.up", "rtpengine.lost", "rtpengine.up"]


def test_a_call_that_an_engine_forgot_is_noticed() -> None:
    """It drops what was silent for a minute: a held call."""
    box = NgBox()
    session = box.call()
    box.engines[0].calls.clear()
    box.until(box.now + 2 * LOOK)
    assert box.events[-1] == MediaMoved(session, "rtpengine 203.0.113.9:2223 no longer has the call")


NEW_KEY = replace(SECURE, send_key=NEXT)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda box, session: box.release(session),
        lambda box, session: box.update(session, NEW_KEY, CLEAR),
        lambda box, session: (box.update(session, NEW_KEY, CLEAR), box.release(session)),
    ],
    ids=["released", "changed", "released while it was changed"],
)
def test_what_a_silent_engine_was_not_told_it_is_told_when_it_is_back(meanwhile: Any) -> None:
    box = NgBox(*TWO)
    session = box.call()
    engine = box.engines[0]
    assert len(engine.calls) == 1
    engine.alive = False
    meanwhile(box, session)
    box.until(box.now + 10)
    engine.alive = True
    box.until(box.now + 10)
    assert engine.calls == {}


def test_a_call_that_an_engine_was_about_to_have_is_deleted_too() -> None:
    """The offer arrived, its answer did not; then the call was over."""
    box = NgBox(*TWO)
    session = box.reserve()
    engine = box.engines[0]
    engine.mute = True
    box.update(session)
    assert len(engine.calls) == 1
    box.release(session)
    box.until(box.now + 10)
    engine.mute = False
    box.until(box.now + 10)
    assert engine.calls == {}
