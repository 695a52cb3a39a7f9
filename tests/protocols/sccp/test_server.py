"""The call manager's end of a farm's connection, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.media_messages import OpenReceiveChannelAck
from cubeproxy.protocols.sccp.messages import (
    Alarm,
    AlarmSeverity,
    CapabilitiesResponse,
    Capability,
    KeepAlive,
    MediaResourceNotification,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    Reset,
    UnregisterRequest,
)
from cubeproxy.protocols.sccp.registry import Unknown
from cubeproxy.protocols.sccp.server import FarmServer, State
from cubeproxy.protocols.values import Event, Severity
from tests.protocols.sccp.stage import Stage
from tests.protocols.sccp.values import messages

S = State
REQUEST = RegisterRequest(device="XCODE", max_streams=20, protocol_version=17)


def judge(request: RegisterRequest) -> str:
    return "" if request.device == "XCODE" else "unknown device"


def connected(**changes: Any) -> Stage[FarmServer]:
    stage = Stage(FarmServer(judge, 0, **changes))
    stage.check([], state=S.CONNECTED, deadline=10)
    return stage


def registered(**changes: Any) -> Stage[FarmServer]:
    stage = connected(**changes)
    out = stage.machine.receive(REQUEST, 1)
    words = ("RegisterAck 0", "CapabilitiesRequest 17", "up XCODE 20", "event sccp.farm.registered")
    stage.check(out, *words, state=S.REGISTERED, deadline=1 + 3 * stage.machine.keepalive)
    return stage


def test_a_farm_that_is_known_is_admitted() -> None:
    stage = registered()
    assert stage.message(RegisterAck) == RegisterAck(keepalive=30, protocol_version=17)
    machine = stage.machine
    assert (machine.name, machine.streams, machine.device_type, machine.registered) == ("XCODE", 20, 111, True)


@pytest.mark.parametrize(("says", "highest", "agreed"), [(0, 22, 3), (5, 22, 5), (22, 17, 17), (40, 22, 22)])
def test_the_lower_version_is_agreed(says: int, highest: int, agreed: int) -> None:
    stage = connected(highest=highest)
    stage.outputs = stage.machine.receive(RegisterRequest(device="XCODE", protocol_version=says), 1)
    assert stage.message(RegisterAck).protocol_version == agreed


def test_a_farm_that_is_unknown_is_told_so_and_may_try_again() -> None:
    stage = connected()
    out = stage.machine.receive(RegisterRequest(device="OTHER"), 9)
    stage.check(out, "RegisterReject 0", "event sccp.farm.rejected", state=S.CONNECTED, deadline=19)
    assert stage.message(RegisterReject).text == "unknown device"
    assert stage.machine.receive(REQUEST, 10)
    assert stage.machine.registered


def test_one_that_never_registers_is_cut_off() -> None:
    stage = connected()
    stage.check(stage.machine.timeout(9), state=S.CONNECTED, deadline=10)
    stage.check(stage.machine.timeout(10), "disconnect", "event sccp.farm.refused", state=S.CLOSED, deadline=None)


def test_one_that_goes_before_it_registers_is_forgotten() -> None:
    stage = connected()
    stage.check(stage.machine.closed("gone", 1), state=S.CLOSED, deadline=None)
    stage.check(stage.machine.closed("gone", 1), state=S.CLOSED, deadline=None)


def test_keepalives_are_answered_and_put_the_end_off() -> None:
    stage = registered()
    stage.check(stage.machine.receive(KeepAlive(), 50), "KeepAliveAck 0", state=S.REGISTERED, deadline=140)
    assert stage.machine.keepalives == 1


def test_three_silent_intervals_are_the_end() -> None:
    stage = registered(keepalive=20)
    stage.check(stage.machine.timeout(60), state=S.REGISTERED, deadline=61)
    out = stage.machine.timeout(61)
    words = ("disconnect", "down: keepalives missing", "event sccp.farm.lost")
    stage.check(out, *words, state=S.CLOSED, deadline=None)


def test_whatever_a_registered_farm_says_puts_the_end_off() -> None:
    stage = registered()
    stage.check(stage.machine.receive(Unknown(0x7777), 50), state=S.REGISTERED, deadline=140)
    stage.check(stage.machine.receive(RemoteProtocolError("broken"), 60), state=S.REGISTERED, deadline=150)


def test_what_a_stranger_says_does_not() -> None:
    stage = connected()
    for message in (KeepAlive(), Unknown(0x7777), CapabilitiesResponse(), UnregisterRequest(), OpenReceiveChannelAck()):
        stage.check(stage.machine.receive(message, 5), state=S.CONNECTED, deadline=10)
    assert stage.machine.counters.unsupported == 4


def test_capabilities_and_resources_are_kept() -> None:
    stage = registered()
    machine = stage.machine
    stage.check(machine.receive(CapabilitiesResponse([Capability(4)]), 2), state=S.REGISTERED, deadline=92)
    stage.check(machine.receive(MediaResourceNotification(111, 20, 0, 4), 3), state=S.REGISTERED, deadline=93)
    assert machine.capabilities == [Capability(4)]
    assert machine.out_of_service == 4


@pytest.mark.parametrize("make", [connected, registered])
def test_alarms_reach_the_operator(make: Any) -> None:
    stage = make()
    state, deadline = stage.machine.state, stage.machine.deadline
    alarm = Alarm(AlarmSeverity.CRITICAL, "on fire")
    out = stage.machine.receive(alarm, 1)
    stage.check(out, "event sccp.farm.alarm", state=state, deadline=deadline)
    (event,) = out
    assert isinstance(event, Event)
    assert (event.severity, "on fire" in event.text) == (Severity.ERROR, True)
    (event,) = stage.machine.receive(Alarm(text="hello"), 1)
    assert isinstance(event, Event)
    assert event.severity is Severity.INFO


def test_answers_about_media_are_handed_on() -> None:
    stage = registered()
    out = stage.machine.receive(OpenReceiveChannelAck(party=1), 2)
    stage.check(out, "deliver OpenReceiveChannelAck", state=S.REGISTERED, deadline=92)


def test_a_farm_may_unregister_and_register_again() -> None:
    stage = registered()
    out = stage.machine.receive(UnregisterRequest(), 5)
    words = ("UnregisterAck 0", "down: unregistered", "event sccp.farm.lost")
    stage.check(out, *words, state=S.CONNECTED, deadline=15)
    stage.machine.receive(REQUEST, 6)
    assert stage.machine.registered


def test_a_connection_that_ends_takes_the_farm_with_it() -> None:
    stage = registered()
    out = stage.machine.closed("reset by peer", 5)
    stage.check(out, "down: reset by peer", "event sccp.farm.lost", state=S.CLOSED, deadline=None)


def test_the_operator_may_reset_a_farm_that_is_there() -> None:
    stage = registered()
    stage.check(stage.machine.reset(5), "Reset 17", state=S.REGISTERED, deadline=91)
    assert stage.message(Reset).kind == 2
    stage = connected()
    stage.check(stage.machine.reset(5), state=S.CONNECTED, deadline=10)


def test_a_second_registration_on_the_connection_is_passed_over() -> None:
    stage = registered()
    stage.check(stage.machine.receive(REQUEST, 2), state=S.REGISTERED, deadline=92)
    stage.check(stage.machine.receive(RegisterAck(), 2), state=S.REGISTERED, deadline=92)


@given(st.lists(messages(), max_size=20))
@settings(max_examples=100)
def test_no_farm_can_break_a_server(drawn: list[tuple[Any, int]]) -> None:
    machine = FarmServer(judge, 0)
    for now, (message, _version) in enumerate(drawn):
        machine.receive(message, now)
    machine.timeout(1000)
    assert machine.state is State.CLOSED
