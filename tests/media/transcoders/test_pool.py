"""What the border sees of the pool, whichever member carries a call."""

from __future__ import annotations

import pytest

from cubeproxy.config.model import Config
from cubeproxy.media.transcoders.pool import members_of
from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.values import (
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    UpdateMedia,
)
from tests.media.transcoders.scene import ACCESS, CLEAR, CORE, LOCAL, SECURE, Box, config


def lti(**changes: object) -> Box:
    return Box(config("CUBE", **changes))


def test_without_a_configured_transcoder_there_is_none() -> None:
    box = Box(Config(version="15.3"))
    assert box.reserve() == 0
    assert box.refusal == ("no-transcoder", "no transcoder is configured")


def test_a_call_manager_without_units_or_on_ios_xe_is_none() -> None:
    given = config()
    assert given.telephony is not None
    given.telephony.sdspfarm_units = 0
    assert members_of(given) == []
    given = config()
    given.version = "17.6"
    assert members_of(given) == []


@pytest.mark.parametrize("changes", [{"shutdown": True}, {"security": False}])
def test_a_profile_that_cannot_serve_is_none(changes: dict[str, object]) -> None:
    box = lti(**changes)
    box.reserve()
    assert box.refusal[0] == "no-transcoder"


def test_a_local_profile_without_sessions_is_none() -> None:
    box = lti(maximum_sessions=0)
    box.config.telephony = None
    box = Box(box.config)
    box.reserve()
    assert box.refusal == ("no-transcoder", "the profile has no sessions: `maximum sessions` is 0")


def test_the_local_transcoder_is_one_hop_with_the_keys() -> None:
    box = lti()
    session = box.reserve()
    assert box.events == [MediaReserved(1, session, ((ACCESS, 16202), (CORE, 18202)))]
    assert box.needs == [Need.CRYPTO]
    box.update(session)
    assert box.hops == {101: (SECURE, CLEAR)}
    box.release(session)
    assert box.hops == {}


def test_it_has_as_many_sessions_as_the_profile() -> None:
    box = lti(maximum_sessions=1)
    session = box.reserve()
    assert box.reserve() == 0
    assert box.refusal == ("pool-full", "all 1 sessions of the local transcoder are in use")
    box.release(session)
    assert box.reserve()
    (member, _farms) = box.pool.members
    assert (member.capacity().sessions, member.capacity().in_use, member.statistics()) == (1, 1, {"sessions": 2})


def test_local_goes_before_farm_and_the_farm_takes_what_is_left() -> None:
    box = lti(maximum_sessions=1)
    box.farm("OTHER")
    box.reserve()
    box.reserve()
    assert box.needs == [Need.CRYPTO, Need.RELAY, Need.RELAY]


def test_what_needs_no_transcoder_passes_through_untouched() -> None:
    pool = Box().pool
    commands = (ReserveMedia(7, "call", LOCAL, Need.CRYPTO), UpdateMedia(5, (SECURE, CLEAR)), ReleaseMedia(5))
    for command in commands:
        assert pool.receive(command, 0) == [command]
    for event in (MediaReserved(7, 5, ((ACCESS, 1), (CORE, 2))), MediaRefused(7, "x", "y"), MediaLost(5, "z")):
        assert pool.inner(event, 0) == [event]
    assert pool.outer_hops(5) == (5, 5)
    assert pool.deadline is None
    assert pool.timeout(0) == []


def test_a_call_that_is_given_up_before_its_ports_came_leaves_nothing() -> None:
    box = Box()
    box.farm(sessions=1)
    asked = box.pool.receive(ReserveMedia(1, "call", LOCAL, Need.TRANSCODER), 0)
    first, second = (one.ticket for one in asked if isinstance(one, ReserveMedia))
    box.lose(1)
    assert box.events == [MediaRefused(1, "no-transcoder", "DSP farm lost: reset by peer")]
    for ticket, session in ((first, 201), (second, 202)):
        reserved = MediaReserved(ticket, session, ((ACCESS, 1), (CORE, 2)))
        assert box.pool.inner(reserved, 0) == [ReleaseMedia(session)]
    assert box.pool.sessions == 0


def test_one_hop_that_is_refused_takes_the_other_with_it() -> None:
    box = Box()
    box.farm(sessions=1)
    asked = box.pool.receive(ReserveMedia(1, "call", LOCAL, Need.TRANSCODER), 0)
    first, second = (one.ticket for one in asked if isinstance(one, ReserveMedia))
    assert box.pool.inner(MediaReserved(second, 202, ((CORE, 3), (CORE, 4))), 0) == []
    out = box.pool.inner(MediaRefused(first, "no-ports", "none"), 0)
    assert out == [ReleaseMedia(202), MediaRefused(1, "no-ports", "none")]
    assert box.pool.inner(MediaRefused(first, "no-ports", "none"), 0) == []
    assert box.reserve()


def test_hops_may_be_answered_in_any_order() -> None:
    box = Box()
    box.farm()
    asked = box.pool.receive(ReserveMedia(1, "call", LOCAL, Need.TRANSCODER), 0)
    first, second = (one.ticket for one in asked if isinstance(one, ReserveMedia))
    box.pool.inner(MediaReserved(second, 202, ((CORE, 3), (CORE, 4))), 0)
    out = box.pool.inner(MediaReserved(first, 201, ((ACCESS, 1), (CORE, 2))), 0)
    assert out == [MediaReserved(1, 201, ((ACCESS, 1), (CORE, 4)))]


def test_another_codec_takes_a_member_that_changes_codecs() -> None:
    box = Box(config("CUBE"))
    member, *others = box.pool.members
    for one in (member, *others):
        one.capabilities = frozenset()
    box.run(box.pool.receive(ReserveMedia(1, "call", LOCAL, Need.TRANSCODER, transcodes=True), box.now))
    assert box.refusal[0] == "no-transcoder"
    assert "changes no codec" in box.refusal[1]
    box.run(box.pool.receive(ReserveMedia(2, "call", LOCAL, Need.TRANSCODER), box.now))
    assert isinstance(box.events[-1], MediaReserved)
    member.capabilities = frozenset({Capability.CODECS})
    box.run(box.pool.receive(ReserveMedia(3, "call", LOCAL, Need.TRANSCODER, transcodes=True), box.now))
    assert isinstance(box.events[-1], MediaReserved)
