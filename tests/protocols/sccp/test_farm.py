"""The farm's registration, row by row: retries, keepalive, reset, switchover and switchback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sccp.farm import FarmClient
from cubeproxy.protocols.sccp.farm_words import FarmSettings, Input, Method, State
from cubeproxy.protocols.sccp.machine import Connect, Disconnect, FarmDown, FarmUp
from cubeproxy.protocols.sccp.media_messages import CloseReceiveChannel, OpenReceiveChannel, PortHandling
from cubeproxy.protocols.sccp.messages import (
    CapabilitiesRequest,
    CapabilitiesResponse,
    Capability,
    KeepAliveAck,
    MediaResourceNotification,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    Reset,
    UnregisterAck,
)
from cubeproxy.protocols.sccp.registry import Unknown
from tests.protocols.sccp.stage import Stage
from tests.protocols.sccp.values import messages

S = State
FIRST, SECOND = ("192.0.2.1", 2000), ("192.0.2.2", 2000)
ACK = RegisterAck(keepalive=20, protocol_version=22)


def made(servers: tuple[tuple[str, int], ...] = (FIRST, SECOND), **changes: Any) -> Stage[FarmClient]:
    return Stage(FarmClient(FarmSettings("XCODE", "192.0.2.9", 10, [Capability(4)], **changes), servers))


def connecting(**changes: Any) -> Stage[FarmClient]:
    stage = made(**changes)
    stage.check(stage.machine.start(0), "connect 192.0.2.1", state=S.CONNECTING, deadline=10)
    return stage


def registering(**changes: Any) -> Stage[FarmClient]:
    stage = connecting(**changes)
    stage.check(stage.machine.connected(1), "RegisterRequest 0", state=S.REGISTERING, deadline=11)
    return stage


def active(**changes: Any) -> Stage[FarmClient]:
    stage = registering(**changes)
    out = stage.machine.receive(ACK, 2)
    stage.check(out, "up XCODE 20", "event sccp.registered", state=S.ACTIVE, deadline=22)
    return stage


def busy(**changes: Any) -> Stage[FarmClient]:
    stage = active(**changes)
    channel = OpenReceiveChannel(conference=1, party=5)
    stage.check(stage.machine.receive(channel, 3), "deliver OpenReceiveChannel", state=S.ACTIVE, deadline=22)
    return stage


def second(**changes: Any) -> Stage[FarmClient]:
    """Registered with the second server, at 100."""
    stage = active(**changes)
    stage.machine.closed("reset by peer", 98)
    stage.machine.connected(99)
    out = stage.machine.receive(ACK, 100)
    stage.check(out, "up XCODE 20", "event sccp.registered", state=S.ACTIVE, deadline=120)
    return stage


def stranded(**changes: Any) -> Stage[FarmClient]:
    stage = busy(**changes)
    out = stage.machine.closed("reset by peer", 4)
    stage.check(out, "event sccp.lost", "disconnect", state=S.STRANDED, deadline=None)
    return stage


def leaving() -> Stage[FarmClient]:
    stage = busy()
    out = stage.machine.receive(Reset(), 5)
    stage.check(out, "down: reset", "UnregisterRequest 17", state=S.LEAVING, deadline=15)
    return stage


# to be registered


def test_a_registration_says_who_and_how_much() -> None:
    stage = registering(protocol_version=16)
    assert stage.message(RegisterRequest) == RegisterRequest(
        device="XCODE", address="192.0.2.9", device_type=111, max_streams=20, protocol_version=16
    )


@pytest.mark.parametrize(
    ("offered", "wanted", "version"), [(22, 17, 17), (11, 17, 11), (5, 17, 0), (12, 17, 11), (22, 22, 22)]
)
def test_the_lower_version_is_spoken(offered: int, wanted: int, version: int) -> None:
    stage = registering(protocol_version=wanted)
    stage.machine.receive(RegisterAck(protocol_version=offered), 2)
    stage.check(
        stage.machine.receive(CapabilitiesRequest(), 3),
        f"CapabilitiesResponse {version}",
        f"MediaResourceNotification {version}",
        state=S.ACTIVE,
        deadline=32,
    )
    assert stage.message(CapabilitiesResponse).capabilities == [Capability(4)]
    assert stage.message(MediaResourceNotification) == MediaResourceNotification(111, 20)


def test_a_version_from_before_is_not_spoken_to_the_next_server() -> None:
    stage = active()
    stage.machine.closed("gone", 3)
    assert stage.machine.version == 0


@pytest.mark.parametrize("late", [False, True])
def test_a_server_that_cannot_be_reached_is_tried_again_then_the_next(late: bool) -> None:
    stage = connecting(connect_retries=2)
    machine, now = stage.machine, 10.0

    def fail(at: float) -> Any:
        return machine.timeout(at) if late else machine.closed("refused", at)

    for server in ("192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.1"):
        stage.check(fail(now), "disconnect", "event sccp.unreachable", state=S.WAITING, deadline=now + 10)
        now += 10
        stage.check(machine.timeout(now), f"connect {server}", state=S.CONNECTING, deadline=now + 10)
        now += 10


def test_a_refusal_leads_to_the_next_server_after_the_wait() -> None:
    stage = registering()
    out = stage.machine.receive(RegisterReject(text="unknown device"), 2)
    stage.check(out, "disconnect", "event sccp.rejected", state=S.WAITING, deadline=12)
    assert out[1].cause == "unknown device"  # type: ignore[union-attr]
    stage.check(stage.machine.timeout(12), "connect 192.0.2.2", state=S.CONNECTING, deadline=22)


def test_a_registration_without_an_answer_is_sent_again_then_given_up() -> None:
    stage = registering()
    stage.check(stage.machine.timeout(11), "RegisterRequest 0", state=S.REGISTERING, deadline=21)
    stage.check(stage.machine.timeout(21), "RegisterRequest 0", state=S.REGISTERING, deadline=31)
    out = stage.machine.timeout(31)
    stage.check(out, "disconnect", "event sccp.unreachable", state=S.WAITING, deadline=41)


def test_a_connection_that_ends_before_the_answer_is_a_failure() -> None:
    stage = registering()
    out = stage.machine.closed("reset by peer", 2)
    stage.check(out, "disconnect", "event sccp.unreachable", state=S.WAITING, deadline=12)
    stage.check(stage.machine.timeout(12), "connect 192.0.2.1", state=S.CONNECTING, deadline=22)
    stage.check(stage.machine.connected(13), "RegisterRequest 0", state=S.REGISTERING, deadline=23)
    assert stage.machine.timeout(22.9) == [], "the count of unanswered registrations begins anew"


def test_unanswered_registrations_are_counted_anew_on_each_connection() -> None:
    stage = registering(registration_retries=2)
    machine = stage.machine
    machine.timeout(11)
    machine.closed("reset by peer", 12)
    machine.timeout(22)
    stage.check(machine.connected(23), "RegisterRequest 0", state=S.REGISTERING, deadline=33)
    stage.check(machine.timeout(33), "RegisterRequest 0", state=S.REGISTERING, deadline=43)


def test_attempts_are_counted_anew_after_a_registration() -> None:
    stage = connecting(connect_retries=2)
    machine = stage.machine
    machine.closed("refused", 1)
    machine.timeout(11)
    machine.connected(12)
    machine.receive(ACK, 13)
    machine.receive(Reset(), 14)
    machine.receive(UnregisterAck(), 15)
    machine.closed("refused", 16)
    stage.check(machine.timeout(26), "connect 192.0.2.1", state=S.CONNECTING, deadline=36)


# to stay registered


def test_the_servers_interval_is_the_one_that_counts() -> None:
    stage = active()
    stage.check(stage.machine.timeout(22), "KeepAlive 17", state=S.ACTIVE, deadline=42)
    stage.check(stage.machine.receive(KeepAliveAck(), 23), state=S.ACTIVE, deadline=42)
    stage.check(stage.machine.timeout(42), "KeepAlive 17", state=S.ACTIVE, deadline=62)


@pytest.mark.parametrize(("told", "lived"), [(0, 1), (99999, 3600)])
def test_an_interval_that_nobody_can_live_with_is_bent(told: int, lived: int) -> None:
    stage = registering()
    stage.machine.receive(RegisterAck(keepalive=told), 2)
    assert stage.machine.deadline == 2 + lived


def test_three_unanswered_keepalives_end_it_and_an_answer_forgives() -> None:
    stage = active()
    machine = stage.machine
    machine.timeout(22)
    machine.timeout(42)
    machine.receive(KeepAliveAck(), 43)
    for at in (62, 82, 102):
        stage.check(machine.timeout(at), "KeepAlive 17", state=S.ACTIVE, deadline=at + 20)
    out = machine.timeout(122)
    stage.check(
        out,
        "event sccp.lost",
        "disconnect",
        "down: keepalives unanswered",
        "connect 192.0.2.2",
        state=S.CONNECTING,
        deadline=132,
    )


def test_a_lost_server_without_sessions_leads_to_the_next_at_once() -> None:
    stage = active()
    out = stage.machine.closed("reset by peer", 5)
    words = ("event sccp.lost", "disconnect", "down: reset by peer", "connect 192.0.2.2")
    stage.check(out, *words, state=S.CONNECTING, deadline=15)


def test_a_graceful_switchover_waits_for_the_last_session() -> None:
    stage = stranded()
    out = stage.machine.idle(50)
    stage.check(out, "down: sessions ended", "connect 192.0.2.2", state=S.CONNECTING, deadline=60)
    assert not stage.machine.open


def test_an_immediate_switchover_does_not() -> None:
    stage = busy(switchover=Method.IMMEDIATE)
    out = stage.machine.closed("reset by peer", 5)
    words = ("event sccp.lost", "disconnect", "down: reset by peer", "connect 192.0.2.2")
    stage.check(out, *words, state=S.CONNECTING, deadline=15)
    assert not stage.machine.open


def test_keepalives_unanswered_with_sessions_strand_too() -> None:
    stage = busy(keepalive_retries=1)
    stage.machine.timeout(22)
    stage.check(stage.machine.timeout(42), "event sccp.lost", "disconnect", state=S.STRANDED, deadline=None)


def test_being_idle_means_nothing_while_there_is_a_server() -> None:
    stage = active()
    stage.check(stage.machine.idle(3), state=S.ACTIVE, deadline=22)


def test_a_reset_registers_with_the_same_server_again() -> None:
    stage = leaving()
    assert not stage.machine.open
    out = stage.machine.receive(UnregisterAck(), 6)
    stage.check(out, "disconnect", "connect 192.0.2.1", state=S.CONNECTING, deadline=16)


@pytest.mark.parametrize("how", ["closed", "late"])
def test_leaving_ends_also_without_an_answer(how: str) -> None:
    stage = leaving()
    out = stage.machine.closed("gone", 7) if how == "closed" else stage.machine.timeout(15)
    deadline = 17 if how == "closed" else 25
    stage.check(out, "disconnect", "connect 192.0.2.1", state=S.CONNECTING, deadline=deadline)


def test_a_farm_that_withdraws_says_that_nothing_is_in_service() -> None:
    stage = busy()
    stage.check(stage.machine.withdraw(), "MediaResourceNotification 17", state=S.ACTIVE, deadline=22)
    assert stage.message(MediaResourceNotification) == MediaResourceNotification(111, 0, 0, 20)
    stage = registering()
    assert stage.machine.withdraw() == []
    stage.machine.receive(ACK, 2)
    stage.outputs = stage.machine.receive(CapabilitiesRequest(), 3)
    assert stage.message(MediaResourceNotification).out_of_service == 20


# back to the better server


def looking(**changes: Any) -> Stage[FarmClient]:
    stage = second(**changes)
    stage.machine.timeout(120)
    stage.machine.receive(KeepAliveAck(), 121)
    stage.machine.timeout(140)
    stage.machine.receive(KeepAliveAck(), 141)
    out = stage.machine.timeout(160)
    stage.check(out, "KeepAlive 17", "probe 192.0.2.1", state=S.ACTIVE, deadline=180)
    return stage


def test_the_better_server_is_looked_for_as_long_as_it_takes() -> None:
    stage = looking(switchback_interval=60.0)
    stage.check(stage.machine.probed(False, 161), state=S.ACTIVE, deadline=180)
    stage.machine.receive(KeepAliveAck(), 162)
    stage.machine.timeout(180)
    stage.machine.timeout(200)
    assert "Probe" in str(stage.machine.timeout(220))


def test_with_the_best_server_nothing_is_looked_for() -> None:
    stage = active()
    stage.check(stage.machine.timeout(21), state=S.ACTIVE, deadline=22)
    stage.check(stage.machine.probed(True, 21), state=S.ACTIVE, deadline=22)


def returned(stage: Stage[FarmClient], out: Any, now: float) -> None:
    words = ("event sccp.switchback", "down: switchback", "UnregisterRequest 17")
    stage.check(out, *words, state=S.LEAVING, deadline=now + 10)
    out = stage.machine.receive(UnregisterAck(), now + 1)
    stage.check(out, "disconnect", "connect 192.0.2.1", state=S.CONNECTING, deadline=now + 11)


def test_an_idle_farm_returns_at_once() -> None:
    stage = looking()
    returned(stage, stage.machine.probed(True, 161), 161)


def test_an_immediate_switchback_waits_for_no_session() -> None:
    stage = looking(switchback=Method.IMMEDIATE)
    stage.machine.receive(OpenReceiveChannel(party=5), 160)
    returned(stage, stage.machine.probed(True, 161), 161)


@pytest.mark.parametrize("method", [Method.GUARD, Method.GRACEFUL])
def test_a_busy_farm_returns_when_its_last_channel_is_closed(method: Method) -> None:
    stage = looking(switchback=method)
    machine = stage.machine
    for party in (5, 6):
        machine.receive(OpenReceiveChannel(party=party), 160)
    stage.check(machine.probed(True, 161), state=S.ACTIVE, deadline=180)
    kept = CloseReceiveChannel(party=6, port_handling=PortHandling.KEEP)
    stage.check(machine.receive(kept, 162), "deliver CloseReceiveChannel", state=S.ACTIVE, deadline=180)
    stage.check(
        machine.receive(CloseReceiveChannel(party=5), 163), "deliver CloseReceiveChannel", state=S.ACTIVE, deadline=180
    )
    first, *rest = machine.receive(CloseReceiveChannel(party=6), 164)
    assert "CloseReceiveChannel" in str(first)
    returned(stage, rest, 164)


def test_the_guard_time_ends_the_patience() -> None:
    stage = looking(switchback_guard=15.0)
    stage.machine.receive(OpenReceiveChannel(party=5), 160)
    stage.check(stage.machine.probed(True, 161), state=S.ACTIVE, deadline=176)
    returned(stage, stage.machine.timeout(176), 176)


def test_graceful_has_no_guard_time() -> None:
    stage = looking(switchback=Method.GRACEFUL, switchback_guard=15.0)
    stage.machine.receive(OpenReceiveChannel(party=5), 160)
    stage.check(stage.machine.probed(True, 161), state=S.ACTIVE, deadline=180)


def test_a_promise_to_return_ends_with_the_server() -> None:
    stage = looking(switchback_guard=15.0)
    stage.machine.receive(OpenReceiveChannel(party=5), 160)
    stage.machine.probed(True, 161)
    stage.check(stage.machine.closed("gone", 162), "event sccp.lost", "disconnect", state=S.STRANDED, deadline=None)


# shut down


@pytest.mark.parametrize("make", [connecting, registering, stranded, leaving])
def test_shut_down_at_any_time(make: Any) -> None:
    stage = make()
    stage.check(stage.machine.stop(50), "disconnect", "down: shut down", state=S.DOWN, deadline=None)
    assert not stage.machine.open


def test_shut_down_while_waiting() -> None:
    stage = connecting()
    stage.machine.closed("refused", 1)
    stage.check(stage.machine.stop(2), "disconnect", "down: shut down", state=S.DOWN, deadline=None)


def test_shut_down_when_registered_unregisters() -> None:
    stage = busy()
    out = stage.machine.stop(50)
    stage.check(out, "UnregisterRequest 17", "disconnect", "down: shut down", state=S.DOWN, deadline=None)
    stage.check(stage.machine.start(60), "connect 192.0.2.1", state=S.CONNECTING, deadline=70)


def test_a_farm_that_is_started_again_begins_with_the_best_server() -> None:
    stage = second(connect_retries=2)
    stage.machine.stop(101)
    stage.check(stage.machine.start(102), "connect 192.0.2.1", state=S.CONNECTING, deadline=112)
    stage.machine.closed("refused", 103)
    stage.check(stage.machine.timeout(113), "connect 192.0.2.1", state=S.CONNECTING, deadline=123)


# what has no row


def test_what_is_not_understood_is_counted_and_passed_over() -> None:
    stage = active()
    machine = stage.machine
    for message in (Unknown(0x7777), RegisterRequest(), RegisterAck(), RemoteProtocolError("broken")):
        stage.check(machine.receive(message, 3), state=S.ACTIVE, deadline=22)
    assert (machine.counters.unrecognised, machine.counters.unsupported, machine.counters.malformed) == (1, 2, 1)
    assert machine.counters.received == {"RegisterAck": 2, "RegisterRequest": 1}
    assert machine.counters.sent == {"RegisterRequest": 1}


def test_a_second_start_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="ACTIVE takes no START"):
        active().machine.start(3)


@given(
    st.lists(st.one_of(messages().map(lambda drawn: drawn[0]), st.sampled_from(["close", "open", "tick"])), max_size=30)
)
@settings(max_examples=100)
def test_no_server_can_break_a_farm(events: list[Any]) -> None:
    """Whatever it says and whenever it goes: one connection at a time, and up and down in turns."""
    machine, now = FarmClient(FarmSettings("X", sessions=1), (FIRST, SECOND)), 0.0
    connections, registered = 0, False
    out = machine.start(now)
    for event in [*events, None]:
        for output in out:
            connections += isinstance(output, Connect)
            connections -= isinstance(output, Disconnect) and connections > 0
            assert 0 <= connections <= 1
            registered = isinstance(output, FarmUp) or (registered and not isinstance(output, FarmDown))
        assert registered <= (machine.state in (State.ACTIVE, State.STRANDED))
        now += 1
        if event == "tick" or event is None:
            now = max(now, machine.deadline or now)
            out = machine.timeout(now)
        elif event == "open":
            out = machine.connected(now) if machine.state is State.CONNECTING else machine.receive(ACK, now)
        elif event == "close":
            gone = machine.state in (State.WAITING, State.STRANDED)
            out = machine.idle(now) if gone else machine.closed("gone", now)
        elif machine.state not in (State.CONNECTING, State.WAITING, State.STRANDED):
            out = machine.receive(event, now)
        else:
            out = []


def test_inputs_of_the_table_are_all_in_use() -> None:
    from cubeproxy.protocols.sccp.farm import FARM

    assert {event for _, event in FARM} == set(Input)
