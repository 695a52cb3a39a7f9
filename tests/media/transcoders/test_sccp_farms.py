"""Calls over SCCP farms: who may register, where a call goes, whose keys travel where, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.commands import Update, encode
from cubeproxy.protocols.sccp.farm_words import State
from cubeproxy.protocols.sccp.media_messages import (
    CloseReceiveChannel,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    PortHandling,
    StartMediaTransmission,
    StartMediaTransmissionAck,
    StopMediaTransmission,
)
from cubeproxy.protocols.sccp.messages import RegisterReject
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import PASS_THROUGH, Codec, MediaLost, MediaReserved, Need, StreamSpec
from tests.media.transcoders.scene import (
    ACCESS,
    CLEAR,
    CORE,
    FARM,
    NEXT,
    OURS,
    SECURE,
    THEIRS,
    Box,
    config,
    hold,
)
from tests.protocols.sccp.values import HOSTS, messages


def up(sessions: int = 2) -> Box:
    box = Box()
    assert box.farm(sessions=sessions).client.state is State.ACTIVE
    return box


def talking(sessions: int = 2) -> tuple[Box, int]:
    box = up(sessions)
    session = box.reserve()
    box.update(session)
    return box, session


def heard(box: Box, *kinds: type) -> list[str]:
    """What the farm was asked since it registered."""
    return [type(one).__name__ for one in box.farms[1].heard if not kinds or isinstance(one, kinds)]


def test_a_call_has_two_hops_and_one_session() -> None:
    box = up()
    session = box.reserve()
    assert box.events == [MediaReserved(1, session, ((ACCESS, 16202), (CORE, 18204)))]
    assert list(box.local.values()) == [(ACCESS, CORE), (CORE, CORE)]
    assert box.needs == [Need.RELAY, Need.RELAY]
    assert box.pool.outer_hops(session) == (101, 102)


def test_the_farm_is_asked_in_the_order_of_real_ones() -> None:
    box, _ = talking()
    media = heard(box, OpenReceiveChannel, StartMediaTransmission)
    assert media == ["OpenReceiveChannel", "OpenReceiveChannel", "StartMediaTransmission", "StartMediaTransmission"]


def test_the_keys_of_the_secure_leg_and_no_others_go_to_the_farm() -> None:
    box, _ = talking()
    opened = [one for one in box.farms[1].heard if isinstance(one, OpenReceiveChannel)]
    started = [one for one in box.farms[1].heard if isinstance(one, StartMediaTransmission)]
    assert [one.encryption.master_key() for one in opened] == [THEIRS, None]
    assert [one.encryption.master_key() for one in started] == [OURS, None]
    assert [(one.host, one.port) for one in started] == [(CORE, 18202), (CORE, 16204)]
    assert [one.event_payload for one in opened] == [101, 0]


def test_hops_pass_packets_on_unopened_once_the_farm_is_ready() -> None:
    box, _ = talking()
    first, second = box.hops[101], box.hops[102]
    assert first == (
        StreamSpec(("192.0.2.77", 7000), PASS_THROUGH, 0, dtmf_payload_type=101),
        StreamSpec((FARM, 20010), PASS_THROUGH, 0),
    )
    assert second == (StreamSpec((FARM, 20012), PASS_THROUGH, 0), StreamSpec(("198.51.100.11", 8000), PASS_THROUGH, 0))


def test_nothing_passes_before() -> None:
    box = up()
    box.farms[1].mute = True
    box.update(box.reserve())
    assert box.hops[101][1] is None
    assert box.hops[102][0] is None


def test_a_hold_is_for_the_hops_alone() -> None:
    box, session = talking()
    before = len(box.farms[1].heard)
    box.update(session, hold(SECURE), replace(CLEAR, sends=False))
    assert len(box.farms[1].heard) == before
    assert box.hops[101][0] is not None
    assert not box.hops[101][0].receives


def test_a_new_key_goes_to_the_farm_and_the_other_leg_is_left_alone() -> None:
    box, session = talking()
    before = len(box.farms[1].heard)
    box.update(session, replace(SECURE, receive_key=NEXT), CLEAR)
    asked = box.farms[1].heard[before:]
    assert [type(one) for one in asked] == [
        CloseReceiveChannel, StopMediaTransmission, OpenReceiveChannel, StartMediaTransmission,
    ]  # fmt: skip
    assert isinstance(asked[0], CloseReceiveChannel)
    assert asked[0].port_handling == PortHandling.KEEP
    assert isinstance(asked[2], OpenReceiveChannel)
    assert asked[2].encryption.master_key() == NEXT
    assert box.hops[101][1] == StreamSpec((FARM, 20010), PASS_THROUGH, 0), "the port is the same"


def test_a_leg_that_is_missing_asks_the_farm_nothing() -> None:
    box = up()
    session = box.reserve()
    box.update(session, SECURE, None)
    assert heard(box, OpenReceiveChannel) == []
    box.update(session)
    assert len(heard(box, OpenReceiveChannel)) == 2


def test_a_release_gives_everything_back() -> None:
    box, session = talking(sessions=1)
    box.release(session)
    assert box.hops == {}
    assert box.farms[1].channels.conferences == {}
    assert box.pool.sessions == 0
    assert box.reserve()


def test_without_a_farm_there_is_no_transcoder() -> None:
    box = Box()
    assert box.reserve() == 0
    assert box.refusal == ("no-transcoder", "no DSP farm is registered")


def test_without_security_there_is_none_either() -> None:
    box = Box(config(security=False))
    box.farm()
    box.reserve()
    assert box.refusal == ("no-transcoder", "no registered DSP farm has `security`")


def test_without_sessions_there_is_none_either() -> None:
    given = config()
    assert given.telephony is not None
    given.telephony.sdspfarm_transcode_sessions = 0
    box = Box(given)
    box.farm()
    box.reserve()
    assert box.refusal[0] == "no-transcoder"


def test_a_full_farm_refuses_and_the_others_go_on() -> None:
    box = up(sessions=2)
    first = box.reserve()
    assert box.reserve()
    assert box.reserve() == 0
    assert box.refusal == ("pool-full", "every DSP farm is full")
    assert len(box.hops) == 4
    box.release(first)
    assert box.reserve()


def test_the_servers_limit_holds_over_all_farms() -> None:
    given = config()
    assert given.telephony is not None
    given.telephony.sdspfarm_transcode_sessions = 3
    box = Box(given)
    box.farm("XCODE")
    box.farm("OTHER")
    assert all([box.reserve(), box.reserve(), box.reserve()])
    assert box.reserve() == 0
    assert box.refusal == ("pool-full", "all 3 `sdspfarm transcode sessions` are in use")
    assert box.pool.farms is not None
    assert box.pool.farms.capacity().sessions == 3


def test_calls_go_to_the_farm_with_most_room() -> None:
    box = Box()
    box.farm("XCODE", sessions=2)
    box.farm("OTHER", sessions=4)
    for _ in range(4):
        box.update(box.reserve())
    assert [len(box.farms[one].channels.conferences) for one in (1, 2)] == [1, 3]


def test_ports_that_cannot_be_had_leave_nothing_behind() -> None:
    box = up(sessions=1)
    box.refuse = True
    assert box.reserve() == 0
    assert box.refusal == ("no-ports", "none left")
    box.refuse = False
    assert box.reserve()


def test_a_pool_that_drains_takes_no_call() -> None:
    box = up()
    box.pool.draining = True
    box.reserve()
    assert box.refusal[0] == "pool-full"


def test_a_lost_farm_takes_its_calls_with_it() -> None:
    box, session = talking()
    other = box.reserve()
    box.lose(1)
    assert box.events[-2:] == [
        MediaLost(session, "DSP farm lost: reset by peer", "pool-full"),
        MediaLost(other, "DSP farm lost: reset by peer", "pool-full"),
    ]
    assert box.hops == {}
    box.reserve()
    assert box.refusal == ("no-transcoder", "no DSP farm is registered")
    assert box.farm(connection=9).client.state is State.ACTIVE
    assert box.reserve()


def test_a_farm_that_falls_silent_is_lost_after_three_intervals() -> None:
    box, session = talking()
    assert box.pool.deadline == 90
    box.ring(90)
    assert box.events[-1] == MediaLost(session, "DSP farm lost: keepalives missing", "pool-full")
    assert box.farms == {}


def test_a_farm_that_does_not_answer_ends_the_call() -> None:
    box = up()
    box.farms[1].mute = True
    session = box.reserve()
    box.update(session)
    assert box.pool.deadline == 3
    box.ring(3)
    assert box.events[-1] == MediaLost(session, "the farm does not answer", "pool-full")
    assert box.hops == {}
    assert box.pool.farms is not None
    assert box.pool.farms.statistics() == {"sessions": 1, "failed": 1, "moved": 0}


def test_a_lost_worker_of_ours_ends_the_call_and_frees_the_farm() -> None:
    box, session = talking()
    box.lose_hop(102, "engine-full")
    assert box.events[-1] == MediaLost(session, "the worker died", "engine-full")
    assert box.hops == {}
    assert box.farms[1].channels.conferences == {}


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (replace(SECURE, codec=Codec("speex", 8000)), "SCCP has no number for the codec speex"),
        (
            replace(SECURE, receive_key=MasterKey(Suite.AEAD_AES_256_GCM, bytes(44))),
            "SCCP cannot carry a key of AEAD_AES_256_GCM",
        ),
        (replace(SECURE, codec=Codec("opus", 48000, 2)), "the farm says: invalid codec"),
    ],
)
def test_what_a_farm_cannot_do_ends_the_call(spec: StreamSpec, cause: str) -> None:
    box, session = talking()
    box.update(session, spec, CLEAR)
    assert isinstance(box.events[-1], MediaLost)
    assert (box.events[-1].session, box.events[-1].cause) == (session, cause)
    assert box.hops == {}
    assert box.farms[1].channels.conferences == {}


def test_an_operator_may_reset_the_farms() -> None:
    box, session = talking()
    assert box.pool.farms is not None
    box.run(box.pool.heard(box.pool.farms.reset(box.now), box.now))
    assert box.events[-1] == MediaLost(session, "DSP farm lost: unregistered", "pool-full")


def rejected(box: Box, connection: int) -> str:
    (reject,) = [one for one in box.farms[connection].heard if isinstance(one, RegisterReject)]
    return reject.text


def test_a_stranger_is_refused() -> None:
    box = Box()
    box.farm("STRANGER")
    assert rejected(box, 1) == "no sdspfarm tag with this name"


def test_a_farm_of_another_box_would_need_tls() -> None:
    box = Box()
    box.farm(host="203.0.113.5")
    assert rejected(box, 1) == "TLS required: not on this box"


def test_a_profile_that_wants_tls_gets_no_clear_connection() -> None:
    box = Box(config(tls=True))
    box.farm()
    assert rejected(box, 1) == "TLS required by the profile"


def test_a_name_registers_once() -> None:
    box = up()
    box.farm("XCODE")
    assert rejected(box, 2) == "already registered"


def test_units_are_counted() -> None:
    given = config()
    assert given.telephony is not None
    given.telephony.sdspfarm_units = 1
    box = Box(given)
    box.farm("XCODE")
    box.farm("OTHER")
    assert rejected(box, 2) == "no more sdspfarm units"


def test_a_farm_without_streams_is_refused() -> None:
    box = Box()
    box.farm(sessions=0)
    assert rejected(box, 1) == "no streams"


def test_what_comes_for_connections_that_are_gone_is_nothing() -> None:
    box = up()
    assert box.pool.farms is not None
    assert box.pool.farms.received(99, OpenReceiveChannel(), 0) == []
    assert box.pool.farms.closed(99, "gone", 0) == []


def test_no_key_is_shown_by_anything_that_holds_one() -> None:
    box, _ = talking()
    assert box.pool.farms is not None
    text = repr(box.pool.farms._sessions) + repr(box.pool.farms.farms)
    for key in (THEIRS, OURS):
        assert repr(key.master[:4])[2:-1] not in text


ODD = st.one_of(
    messages().map(lambda drawn: drawn[0]),
    st.builds(OpenReceiveChannelAck, st.integers(0, 3), HOSTS, st.integers(0, 70000), st.integers(0, 5)),
    st.builds(StartMediaTransmissionAck, party=st.integers(0, 5), status=st.integers(0, 3)),
    st.sampled_from(["tick", "update", "release", "reserve"]),
)


@given(st.lists(ODD, max_size=30))
@settings(max_examples=150, deadline=None)
def test_no_farm_can_break_the_pool(asked: list[Any]) -> None:
    """Whatever a registered farm says: every session is carried or told to be lost, and workers can be told."""
    box = up(sessions=3)
    box.farms[1].mute = True
    held: list[int] = []
    assert box.pool.farms is not None
    for one in [*asked, "tick", "tick"]:
        seen = len(box.events)
        if one == "reserve":
            held += [session for session in [box.reserve()] if session]
        elif one == "update" and held:
            box.update(held[0])
        elif one == "release" and held:
            box.release(held.pop(0))
        elif one == "tick":
            box.ring((box.pool.deadline or box.now) + 0.1)
        elif not isinstance(one, str):
            box.run(box.pool.heard(box.pool.farms.received(1, one, box.now), box.now))
        held = [session for session in held if not any(lost(event, session) for event in box.events[seen:])]
        for session, legs in box.hops.items():
            assert encode(Update(session, legs))
    for session in held:
        box.release(session)
    assert box.hops == {}
    assert box.pool.sessions == 0
    assert box.pool.farms.sessions == {}


def lost(event: object, session: int) -> bool:
    return isinstance(event, MediaLost) and event.session == session


def test_a_farm_of_another_address_family_is_of_no_use() -> None:
    box = up()
    box.farms[1].mute = True
    session = box.reserve()
    box.update(session)
    assert box.pool.farms is not None
    for answer in (
        OpenReceiveChannelAck(0, "2001:db8::1", 4000, 1),
        OpenReceiveChannelAck(0, FARM, 4002, 2),
        StartMediaTransmissionAck(party=1),
        StartMediaTransmissionAck(party=2),
    ):
        box.run(box.pool.heard(box.pool.farms.received(1, answer, 1), 1))
    assert box.events[-1] == MediaLost(session, "the farm's address is of another family")
