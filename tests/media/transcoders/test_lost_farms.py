"""Calls of a farm that is lost, or that gives one up: another farm takes them, or they end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.transcoders.sccp import MOVES
from cubeproxy.protocols.sccp.media_messages import (
    MediaTransmissionFailure,
    OpenReceiveChannel,
    StartMediaTransmission,
)
from cubeproxy.protocols.sccp.messages import UnregisterRequest
from cubeproxy.protocols.sccp.registry import encode
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Codec, Event, MediaLost, MediaMoved, Need, StreamSpec
from tests.media.transcoders.scene import CLEAR, CORE, NEXT, OURS, SECURE, THEIRS, Box, FakeFarm, config

RENEWED = replace(SECURE, send_key=NEXT)


def pair(sessions: int = 2) -> tuple[Box, int]:
    """Two farms with room for so many sessions, and a call on the first."""
    box = Box()
    box.farm("XCODE", sessions)
    session = box.reserve()
    box.update(session)
    box.farm("OTHER", sessions)
    return box, session


def asked(farm: FakeFarm) -> list[OpenReceiveChannel | StartMediaTransmission]:
    return [one for one in farm.heard if isinstance(one, OpenReceiveChannel | StartMediaTransmission)]


def reports(box: Box) -> list[Event]:
    return [one for one in box.told if one.name == "sccp.sessions.moved"]


def failure(box: Box, connection: int) -> None:
    """The farm says that a stream has broken; its own side of the call is gone."""
    farm = box.farms[connection]
    (conference,) = farm.channels.conferences.values()
    for party in list(conference.parties):
        message = MediaTransmissionFailure(conference.number, party.number, "198.51.100.9", 0, party.call)
        farm.channels.conferences.clear()
        box._from_farm(connection, [encode(message, farm.client.version)])


class TestItGoesToAnother:
    def test_which_is_asked_for_nothing_before_there_are_new_keys(self) -> None:
        box, session = pair()
        box.lose(1)
        assert box.events[-1] == MediaMoved(session, "DSP farm lost: reset by peer")
        assert box.hops[101][1] is None, "nothing passes"
        assert box.hops[102][0] is None
        box.update(session, SECURE, CLEAR)  # an update that was on its way
        assert asked(box.farms[2]) == []
        assert box.hops[101][1] is None

    def test_and_then_for_everything_under_numbers_of_its_own(self) -> None:
        box, session = pair()
        first = {one.party for one in asked(box.farms[1])}
        box.lose(1)
        box.update(session, RENEWED, CLEAR)
        other = asked(box.farms[2])
        assert [type(one).__name__[:4] for one in other] == ["Open", "Open", "Star", "Star"]
        assert not first & {one.party for one in other}
        keys = [one.encryption.master_key() for one in other]
        assert keys == [THEIRS, None, NEXT, None]
        assert OURS not in keys
        farm_port = next(iter(box.farms[2].channels.conferences.values())).local
        assert box.hops[101][1] is not None
        assert box.hops[101][1].remote == farm_port[0]
        assert box.hops[102][0] is not None
        assert box.hops[102][0].remote == farm_port[1]
        assert len(box.hops) == 2, "the ports towards phone and cluster stay"

    def test_silent_towards_the_phone_until_it_has_answered(self) -> None:
        """What the border says first: the new key, not to be used. The hop sees to that, the farm is ready."""
        box, session = pair()
        box.lose(1)
        box.update(session, replace(RENEWED, sends=False), CLEAR)
        before = len(asked(box.farms[2]))
        assert before == 4
        assert box.hops[101][0] is not None
        assert not box.hops[101][0].sends
        box.update(session, RENEWED, CLEAR)
        assert box.hops[101][0].sends
        assert len(asked(box.farms[2])) == before, "the farm hears nothing of it"

    def test_a_phone_that_changes_its_key_too(self) -> None:
        box, session = pair()
        box.lose(1)
        box.update(session, replace(RENEWED, sends=False), CLEAR)
        theirs = MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, b"\x09" * 30)
        box.update(session, replace(RENEWED, receive_key=theirs), CLEAR)
        opened = [one for one in asked(box.farms[2]) if isinstance(one, OpenReceiveChannel)]
        assert [one.encryption.master_key() for one in opened] == [THEIRS, None, theirs]

    def test_with_the_most_room_and_as_many_as_fit(self) -> None:
        box = Box()
        box.farm("XCODE", 3)
        sessions = [box.reserve() for _ in range(3)]
        for session in sessions:
            box.update(session)
        box.farm("OTHER", 2)
        box.lose(1)
        last = box.events[-3:]
        assert [type(one) for one in last] == [MediaMoved, MediaMoved, MediaLost]
        assert last[2] == MediaLost(sessions[2], "DSP farm lost: reset by peer", "pool-full")
        assert len(box.hops) == 4, "the third has given its ports back"
        (report,) = reports(box)
        assert report.fields == {"sessions": 3, "moved": 2}
        for session in sessions[:2]:
            box.update(session, RENEWED, CLEAR)
            box.release(session)
        assert box.hops == {}
        assert box.pool.farms is not None
        assert box.pool.farms.capacity().in_use == 0
        assert box.pool.farms.statistics() == {"sessions": 3, "failed": 0, "moved": 2}
        assert all([box.reserve(), box.reserve()])

    def test_also_when_it_unregisters_or_falls_silent(self) -> None:
        box, session = pair()
        box._from_farm(1, [encode(UnregisterRequest(), 17)])
        assert box.events[-1] == MediaMoved(session, "DSP farm lost: unregistered")
        box, session = pair()
        assert box.pool.farms is not None
        box.now = 60
        box.pool.farms.farms[2].server.heard(60)
        box.ring(90)
        assert box.events[-1] == MediaMoved(session, "DSP farm lost: keepalives missing")

    def test_and_on_when_that_one_is_lost_too_never_with_a_key_that_one_had(self) -> None:
        box, session = pair()
        box.lose(1)
        box.update(session, RENEWED, CLEAR)
        box.farm("XCODE", connection=3)
        box.lose(2)
        assert isinstance(box.events[-1], MediaMoved)
        for spent in (SECURE, RENEWED):
            box.update(session, spent, CLEAR)
            assert asked(box.farms[3]) == []
        fresh = MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, b"\x08" * 30)
        box.update(session, replace(SECURE, send_key=fresh), CLEAR)
        assert len(asked(box.farms[3])) == 4

    def test_a_call_that_had_no_stream_yet_moves_unnoticed(self) -> None:
        box = Box()
        box.farm("XCODE", 4)
        session = box.reserve()
        box.farm("OTHER")
        events = list(box.events)
        box.lose(1)
        assert box.events == events
        box.update(session)
        assert [one.encryption.master_key() for one in asked(box.farms[2])] == [THEIRS, None, OURS, None]

    def test_a_call_whose_stream_is_refused_meanwhile_comes_back_with_new_keys_too(self) -> None:
        box, session = pair()
        box.update(session, None, None)
        box.lose(1)
        box.update(session)
        assert asked(box.farms[2]) == []
        box.update(session, RENEWED, CLEAR)
        assert len(asked(box.farms[2])) == 4

    def test_a_call_without_srtp_needs_no_keys(self) -> None:
        box = Box()
        box.farm("XCODE")
        session = box.reserve()
        plain = StreamSpec(("192.0.2.77", 7000), CLEAR.codec, 0)
        box.update(session, plain, CLEAR)
        box.farm("OTHER")
        box.lose(1)
        assert isinstance(box.events[-1], MediaMoved)
        box.update(session, plain, CLEAR)
        assert len(asked(box.farms[2])) == 4


class TestOneCallIsGivenUp:
    def test_another_farm_comes_first(self) -> None:
        box, session = pair()
        failure(box, 1)
        assert box.events[-1] == MediaMoved(session, "the farm hears nothing")
        assert len([one for one in box.events if isinstance(one, MediaMoved)]) == 1, "the second leg's word is late"
        box.update(session, RENEWED, CLEAR)
        assert len(asked(box.farms[2])) == 4

    def test_the_same_one_again_where_there_is_no_other(self) -> None:
        """Its media worker died, and it has another by now."""
        box = Box()
        box.farm("XCODE")
        session = box.reserve()
        box.update(session)
        failure(box, 1)
        assert box.events[-1] == MediaMoved(session, "the farm hears nothing")
        box.update(session, RENEWED, CLEAR)
        assert len(asked(box.farms[1])) == 8
        assert len({one.party for one in asked(box.farms[1])}) == 4

    def test_not_for_ever(self) -> None:
        box = Box()
        box.farm("XCODE")
        session = box.reserve()
        box.update(session)
        for number in range(MOVES):
            failure(box, 1)
            assert isinstance(box.events[-1], MediaMoved)
            key = MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, bytes((50 + number,)) * 30)
            box.update(session, replace(SECURE, send_key=key), CLEAR)
        failure(box, 1)
        assert box.events[-1] == MediaLost(session, "the farm hears nothing", "pool-full")
        assert box.hops == {}

    def test_one_that_does_not_answer_is_not_asked_twice(self) -> None:
        box, session = pair()
        box.farms[2].mute = True
        box.lose(1)
        box.update(session, RENEWED, CLEAR)
        box.ring(3)
        assert box.events[-1] == MediaLost(session, "the farm does not answer", "pool-full")
        assert box.hops == {}

    def test_unless_it_has_carried_the_call_since(self) -> None:
        box, session = pair()
        box.farms[1].mute = True
        second = box.reserve()
        assert box.pool.farms is not None
        assert len(box.pool.farms.farms[2].sessions) == 1
        box.release(second)
        box.farms[2].mute = True
        failure(box, 1)
        box.farms[1].mute = False
        box.update(session, RENEWED, CLEAR)
        box.ring(3)  # the other one says nothing
        assert isinstance(box.events[-1], MediaMoved)
        key = MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, b"\x07" * 30)
        box.update(session, replace(SECURE, send_key=key), CLEAR)
        assert box.hops[101][1] is not None


def test_farms_that_are_reset_do_not_take_each_others_calls() -> None:
    """Each is about to leave: a call that went from one to the other would have to move twice."""
    box, session = pair()
    assert box.pool.farms is not None
    box.run(box.pool.heard(box.pool.farms.reset(box.now), box.now))
    assert box.events[-1] == MediaLost(session, "DSP farm lost: unregistered", "pool-full")


def test_a_farm_that_drains_takes_no_call_of_another() -> None:
    box, session = pair()
    farm = box.farms[2]
    box._from_farm(2, farm.act(farm.client.withdraw()))
    box.lose(1)
    assert isinstance(box.events[-1], MediaLost)
    assert session


@pytest.mark.parametrize("sessions", [0, 1])
def test_the_limit_of_all_farms_counts_a_moving_call_once(sessions: int) -> None:
    box = Box()
    assert box.config.telephony is not None
    box.config.telephony.sdspfarm_transcode_sessions = 1
    box = Box(box.config)
    box.farm("XCODE", 4)
    session = box.reserve()
    box.update(session)
    box.farm("OTHER", 1 + sessions)
    box.lose(1)
    assert box.events[-1] == MediaMoved(session, "DSP farm lost: reset by peer")


def sheltered() -> tuple[Box, int]:
    """A call on a farm, and room at the local worker by now."""
    box = Box(config("CUBE", maximum_sessions=1))
    box.farm("OTHER")
    local = box.reserve()
    session = box.reserve()
    assert box.needs == [Need.CRYPTO, Need.RELAY, Need.RELAY]
    box.release(local)
    return box, session


class TestTheLocalWorkerTakesIt:
    def test_in_the_two_hops_that_it_has(self) -> None:
        box, session = sheltered()
        box.update(session)
        box.lose(1)
        assert box.events[-1] == MediaMoved(session, "DSP farm lost: reset by peer")
        assert "media.session.moved" in [one.name for one in box.told]
        box.update(session, RENEWED, CLEAR)
        first, second = box.hops.values()
        inside = (CORE, 18000 + 2 * session), (CORE, 16000 + 2 * (session + 1))
        assert first == (replace(RENEWED, joins=True), StreamSpec(inside[1], CLEAR.codec, 0))
        assert second == (StreamSpec(inside[0], CLEAR.codec, 0), CLEAR)
        assert [member.capacity().in_use for member in box.pool.members] == [1, 0]
        box.update(session, RENEWED, None)
        assert list(box.hops.values()) == [(replace(RENEWED, joins=True), None), (None, None)]
        box.release(session)
        assert box.hops == {}
        assert [member.capacity().in_use for member in box.pool.members] == [0, 0]

    def test_never_with_a_key_that_a_farm_had(self) -> None:
        box, session = sheltered()
        box.update(session)
        before = dict(box.hops)
        box.lose(1)
        box.update(session)
        assert box.hops == before

    def test_not_where_it_is_full_or_codecs_differ(self) -> None:
        box, session = sheltered()
        box.update(session)
        box.reserve()
        box.lose(1)
        assert box.events[-1] == MediaLost(session, "DSP farm lost: reset by peer", "pool-full")
        box, session = sheltered()
        box.update(session, SECURE, replace(CLEAR, codec=Codec("pcma", 8000)))
        box.lose(1)
        assert isinstance(box.events[-1], MediaLost)

    def test_unnoticed_before_there_are_streams(self) -> None:
        box, session = sheltered()
        events = list(box.events)
        box.lose(1)
        assert box.events == events
        box.update(session)
        assert next(iter(box.hops.values()))[0] == replace(SECURE, joins=True)


STEPS = st.sampled_from(
    [
        "reserve",
        "reserve",
        "update",
        "renew",
        "renew",
        "refuse",
        "release",
        "lose",
        "farm",
        "fail",
        "mute",
        "speak",
        "tick",
    ]
)


@given(st.lists(st.tuples(STEPS, st.integers(0, 3)), max_size=40))
@settings(max_examples=150)
def test_no_key_protects_the_streams_of_two_farms(steps: list[tuple[str, int]]) -> None:
    """Farms come, fall silent, give calls up and go, in any order; no session is forgotten."""
    box = Box()
    every = [box.farm("XCODE"), box.farm("OTHER")]
    held: dict[int, MasterKey] = {}
    for number, (step, which) in enumerate(steps):
        seen = len(box.events)
        connections = sorted(box.farms)
        session = sorted(held)[which % len(held)] if held else 0
        connection = connections[which % len(connections)] if connections else 0
        if step == "reserve" and (made := box.reserve()):
            held[made] = MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, made.to_bytes(2, "big") * 15)
        elif step == "renew" and session:
            held[session] = MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes((200, number)) * 15)
        if step in ("update", "renew") and session:
            box.update(session, replace(SECURE, send_key=held[session]), CLEAR)
        elif step == "refuse" and session:
            box.update(session, None, None)
        elif step == "release" and session:
            del held[session]
            box.release(session)
        elif step == "lose" and connection:
            box.lose(connection)
        elif step == "farm" and len(box.framers) < 12:
            every.append(box.farm(("XCODE", "OTHER")[which % 2]))
        elif step == "fail" and connection and box.farms[connection].channels.conferences:
            broken = min(box.farms[connection].channels.conferences)
            conference = box.farms[connection].channels.conferences.pop(broken)
            gone = MediaTransmissionFailure(broken, conference.parties[0].number, "198.51.100.9", 0, 0)
            box._from_farm(connection, [encode(gone, box.farms[connection].client.version)])
        elif step in ("mute", "speak") and connection:
            box.farms[connection].mute = step == "mute"
        elif step == "tick":
            box.ring((box.pool.deadline or box.now) + 0.1)
        over = {event.session for event in box.events[seen:] if isinstance(event, MediaLost)}
        held = {one: key for one, key in held.items() if one not in over}
    streams: dict[bytes, set[int]] = {}
    for farm in every:
        for started in asked(farm):
            if isinstance(started, StartMediaTransmission) and (key := started.encryption.master_key()):
                streams.setdefault(key.master, set()).add(started.party)
    assert all(len(parties) == 1 for parties in streams.values())
    for one in held:
        box.release(one)
    assert box.hops == {}
    assert box.pool.sessions == 0
    assert box.pool.farms is not None
    assert not box.pool.farms.sessions


def test_no_key_is_shown() -> None:
    box, _ = pair()
    box.lose(1)
    assert box.pool.farms is not None
    for text in (repr(box.pool.farms.sessions), repr(box.pool._placements)):
        assert "spent" not in text
        assert "had=" not in text
