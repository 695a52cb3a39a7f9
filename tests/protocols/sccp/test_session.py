"""One call through a farm: the order of the messages, what they carry, and what a change touches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.media_messages import (
    CloseReceiveChannel,
    MediaTransmissionFailure,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    PortHandling,
    StartMediaTransmission,
    StartMediaTransmissionAck,
    Status,
    StopMediaTransmission,
)
from cubeproxy.protocols.sccp.messages import KeepAlive
from cubeproxy.protocols.sccp.session import State, Stream, TranscoderSession
from cubeproxy.protocols.suites import MasterKey, Suite
from tests.protocols.sccp.stage import Stage
from tests.protocols.sccp.values import messages

S = State


def key(number: int) -> MediaEncryption:
    return MediaEncryption.of(MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, bytes((number,)) * 30))


SECURE = Stream(4, ("192.0.2.1", 16384), event_payload=101, receive=key(1), send=key(2))
CLEAR = Stream(4, ("192.0.2.1", 16386), period=30)
OPEN, START = "OpenReceiveChannel 17", "StartMediaTransmission 17"
CLOSE, STOP = "CloseReceiveChannel 17", "StopMediaTransmission 17"
FAIL = ("no-transcoder", "x")


def made() -> Stage[TranscoderSession]:
    return Stage(TranscoderSession(7, (71, 72), (701, 702), 17))


def opened(leg: int, status: int = 0) -> OpenReceiveChannelAck:
    return OpenReceiveChannelAck(status, "192.0.2.9", 4000 + 2 * leg, 71 + leg)


def started(leg: int, status: int = 0) -> StartMediaTransmissionAck:
    return StartMediaTransmissionAck(7, 71 + leg, status=status)


def opening() -> Stage[TranscoderSession]:
    stage = made()
    stage.check(stage.machine.update((SECURE, CLEAR), 0), OPEN, state=S.OPENING, deadline=3)
    return stage


def half_open() -> Stage[TranscoderSession]:
    stage = opening()
    stage.check(stage.machine.receive(opened(0), 1), OPEN, state=S.OPENING, deadline=4)
    return stage


def starting() -> Stage[TranscoderSession]:
    stage = half_open()
    stage.check(stage.machine.receive(opened(1), 2), START, state=S.STARTING, deadline=5)
    return stage


def half_started() -> Stage[TranscoderSession]:
    stage = starting()
    stage.check(stage.machine.receive(started(0), 3), START, state=S.STARTING, deadline=6)
    return stage


def running() -> Stage[TranscoderSession]:
    stage = half_started()
    stage.check(stage.machine.receive(started(1), 4), "ready 4000 4002", state=S.RUNNING, deadline=None)
    return stage


def test_the_keys_of_a_leg_are_in_its_messages_and_nowhere_else() -> None:
    stage = opening()
    assert stage.message(OpenReceiveChannel) == OpenReceiveChannel(
        7, 71, 20, 4, call=701, encryption=key(1), event_payload=101, source="192.0.2.1", source_port=16384
    )
    stage.outputs = stage.machine.receive(opened(0), 1)
    assert stage.message(OpenReceiveChannel) == OpenReceiveChannel(
        7, 72, 30, 4, call=702, source="192.0.2.1", source_port=16386
    )
    stage.outputs = stage.machine.receive(opened(1), 1)
    assert stage.message(StartMediaTransmission) == StartMediaTransmission(
        7, 71, "192.0.2.1", 16384, 20, 4, call=701, encryption=key(2), event_payload=101
    )
    stage.outputs = stage.machine.receive(started(0), 1)
    assert stage.message(StartMediaTransmission) == StartMediaTransmission(7, 72, "192.0.2.1", 16386, 30, 4, call=702)


def test_both_legs_in_order_then_it_is_ready() -> None:
    assert running().machine.hosts == [("192.0.2.9", 4000), ("192.0.2.9", 4002)]


def test_an_update_that_changes_nothing_costs_nothing() -> None:
    stage = running()
    stage.check(stage.machine.update((SECURE, CLEAR), 5), state=S.RUNNING, deadline=None)


def test_a_new_key_touches_its_leg_only_and_keeps_the_port() -> None:
    stage = running()
    new = replace(SECURE, receive=key(3))
    stage.check(stage.machine.update((new, CLEAR), 5), CLOSE, STOP, OPEN, state=S.OPENING, deadline=8)
    assert stage.message(CloseReceiveChannel) == CloseReceiveChannel(7, 71, 701, PortHandling.KEEP)
    assert stage.message(StopMediaTransmission) == StopMediaTransmission(7, 71, 701, PortHandling.KEEP)
    assert stage.message(OpenReceiveChannel).encryption == key(3)
    stage.check(stage.machine.receive(opened(0), 6), START, state=S.STARTING, deadline=9)
    stage.check(stage.machine.receive(started(0), 7), "ready 4000 4002", state=S.RUNNING, deadline=None)


def test_both_legs_may_change() -> None:
    stage = running()
    both = (replace(SECURE, codec=2), replace(CLEAR, codec=2))
    stage.check(stage.machine.update(both, 5), CLOSE, STOP, CLOSE, STOP, OPEN, state=S.OPENING, deadline=8)
    stage.check(stage.machine.receive(opened(0), 6), OPEN, state=S.OPENING, deadline=9)


@pytest.mark.parametrize("make", [opening, half_open, starting, half_started])
def test_an_update_at_a_bad_moment_waits_and_the_newest_counts(make: Any) -> None:
    stage = make()
    machine = stage.machine
    state, deadline = machine.state, machine.deadline
    stage.check(machine.update((SECURE, replace(CLEAR, codec=8)), 2), state=state, deadline=deadline)
    stage.check(machine.update((SECURE, replace(CLEAR, codec=2)), 2), state=state, deadline=deadline)
    out = [one for ack in (opened(0), opened(1), started(0), started(1)) for one in machine.receive(ack, 5)]
    assert machine.state is S.OPENING
    stage.check(out[-4:], "ready 4000 4002", CLOSE, STOP, OPEN, state=S.OPENING, deadline=8)
    assert stage.message(OpenReceiveChannel).codec == 2


@pytest.mark.parametrize("make", [opening, half_open])
def test_a_channel_that_is_not_answered_fails(make: Any) -> None:
    stage = make()
    deadline = stage.machine.deadline
    assert stage.machine.timeout(deadline - 0.1) == []
    out = stage.machine.timeout(deadline)
    words = (CLOSE, STOP, CLOSE, STOP, "failed no-transcoder: the farm does not answer")
    stage.check(out, *words, state=S.CLOSED, deadline=None)
    assert stage.machine.release(9) == []


def test_a_transmission_that_is_not_answered_is_believed() -> None:
    stage = starting()
    stage.check(stage.machine.timeout(5), START, state=S.STARTING, deadline=8)
    stage.check(stage.machine.timeout(8), "ready 4000 4002", state=S.RUNNING, deadline=None)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (Status.NOT_ENOUGH_CHANNELS, "pool-full: the farm says: not enough channels"),
        (Status.OUT_OF_SOCKETS, "pool-full: the farm says: out of sockets"),
        (Status.INVALID_CODEC, "no-transcoder: the farm says: invalid codec"),
        (77, "no-transcoder: the farm says: status 77"),
    ],
)
def test_a_channel_that_is_refused_fails(status: int, cause: str) -> None:
    stage = half_open()
    out = stage.machine.receive(opened(1, status), 2)
    stage.check(out, CLOSE, STOP, CLOSE, STOP, f"failed {cause}", state=S.CLOSED, deadline=None)
    (close, *_) = (each.message for each in out if hasattr(each, "message"))
    assert close == CloseReceiveChannel(7, 71, 701, PortHandling.CLOSE)


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_is_none_fails(port: int) -> None:
    stage = opening()
    out = stage.machine.receive(replace(opened(0), port=port), 1)
    words = (CLOSE, STOP, CLOSE, STOP, f"failed no-transcoder: the farm's port is {port}")
    stage.check(out, *words, state=S.CLOSED, deadline=None)


def test_a_transmission_that_is_refused_fails() -> None:
    stage = starting()
    out = stage.machine.receive(started(0, Status.INVALID_PARTY), 3)
    words = (CLOSE, STOP, CLOSE, STOP, "failed no-transcoder: the farm says: invalid party")
    stage.check(out, *words, state=S.CLOSED, deadline=None)


def test_a_farm_that_hears_nothing_any_more_fails_the_session() -> None:
    stage = running()
    out = stage.machine.receive(MediaTransmissionFailure(7, 71), 9)
    words = (CLOSE, STOP, CLOSE, STOP, "failed no-transcoder: the farm hears nothing")
    stage.check(out, *words, state=S.CLOSED, deadline=None)


@pytest.mark.parametrize("make", [opening, half_open, starting, half_started, running])
def test_a_release_closes_both_streams_whenever_it_comes(make: Any) -> None:
    stage = make()
    stage.check(stage.machine.release(9), CLOSE, STOP, CLOSE, STOP, state=S.CLOSED, deadline=None)
    assert stage.machine.release(9) == []


def test_a_release_before_anything_was_opened_closes_nothing() -> None:
    stage = made()
    stage.check(stage.machine.release(0), state=S.CLOSED, deadline=None)


@pytest.mark.parametrize("message", [opened(1), started(0), KeepAlive(), OpenReceiveChannelAck(party=99)])
def test_an_answer_that_nobody_waits_for_is_passed_over(message: Any) -> None:
    stage = opening()
    stage.check(stage.machine.receive(message, 1), state=S.OPENING, deadline=3)
    assert stage.machine.counters.unsupported == 1


def test_answers_that_come_twice_are_passed_over() -> None:
    stage = half_open()
    stage.check(stage.machine.receive(opened(0), 2), state=S.OPENING, deadline=4)
    stage = starting()
    stage.check(stage.machine.receive(opened(0), 2), state=S.STARTING, deadline=5)
    stage = running()
    stage.check(stage.machine.receive(started(1), 9), state=S.RUNNING, deadline=None)


@given(st.lists(st.one_of(messages().map(lambda drawn: drawn[0]), st.sampled_from(["tick", "update"])), max_size=20))
@settings(max_examples=100)
def test_no_farm_can_break_a_session(events: list[Any]) -> None:
    machine = TranscoderSession(7, (71, 72), (701, 702), 17)
    machine.update((SECURE, CLEAR), 0)
    for number, event in enumerate(events):
        if machine.state is State.CLOSED:
            break
        if event == "tick":
            machine.timeout(machine.deadline or 0)
        elif event == "update":
            machine.update((SECURE, replace(CLEAR, period=number)), number)
        else:
            machine.receive(event, number)
    machine.release(99)
    assert machine.state is State.CLOSED
    assert machine.deadline is None
