"""Sessions on rtpengines: commands and keys, placement, loss, drain. Without sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cubeproxy.media.transcoders.ng_call import Side, command, new_receive_keys, read, steps
from cubeproxy.media.transcoders.ng_engine import EngineSettings, Phase
from cubeproxy.media.transcoders.rtpengine import Rtpengines
from cubeproxy.media.transcoders.words import NgSend, Refusal
from cubeproxy.protocols.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.ng.liveness import LOOK
from cubeproxy.protocols.ng.messages import Answer, Offer, read_request
from cubeproxy.protocols.sdp.session import SessionDescription
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import PASS_THROUGH, Codec, Event, MediaLost, StreamSpec
from tests.media.transcoders.ng_scene import NgBox
from tests.media.transcoders.scene import CLEAR, NEXT, OURS, SECURE, THEIRS, hold

TWO = ("203.0.113.9:2223", "203.0.113.10:2223")
SUITE = Suite.AES_CM_128_HMAC_SHA1_32
FAR = StreamSpec(
    CLEAR.remote, CLEAR.codec, 0, MasterKey(SUITE, b"\x11" * 30), MasterKey(SUITE, b"\x12" * 30)
)  # a secure leg towards the core
HOPS = (("203.0.113.1", 30000), ("203.0.113.1", 30002))


def sides(first: StreamSpec = SECURE, second: StreamSpec = CLEAR) -> tuple[Side, Side]:
    return Side.of(first, HOPS[0]), Side.of(second, HOPS[1])


def inner(box: NgBox, session: int) -> list[StreamSpec | None]:
    """What the two hops of a session have towards the engine."""
    return [box.hops[session][1], box.hops[session + 1][0]]


def carried(box: NgBox, session: int) -> bool:
    return all(spec is not None and spec.codec == PASS_THROUGH for spec in inner(box, session))


# commands


@pytest.mark.parametrize(
    ("legs", "said"),
    [
        ((SECURE, CLEAR), [(1, False, OURS, "RTP/SAVP"), (0, True, THEIRS, "RTP/AVP")]),
        ((CLEAR, SECURE), [(0, False, OURS, "RTP/SAVP"), (1, True, THEIRS, "RTP/AVP")]),
        ((CLEAR, CLEAR), [(1, False, None, "RTP/AVP"), (0, True, None, "RTP/AVP")]),
        (
            (SECURE, FAR),
            [
                (1, False, OURS, "RTP/SAVP"), (0, False, FAR.send_key, "RTP/SAVP"),
                (1, True, FAR.receive_key, "RTP/SAVP"), (0, True, THEIRS, "RTP/SAVP"),
            ],
        ),
    ],
)  # fmt: skip
def test_who_says_which_key(legs: tuple[StreamSpec, StreamSpec], said: list[object]) -> None:
    """A leg's own key comes from the other side's offer, its peer's from its answer."""
    found = [(step.speaker, step.answers, step.key, step.protocol) for step in steps(sides(*legs))]
    assert found == said


def test_what_an_engine_cannot_be_told() -> None:
    with pytest.raises(LocalProtocolError, match="one suite"):
        steps(sides(SECURE, replace(FAR, send_key=MasterKey(Suite.AEAD_AES_128_GCM, b"\x13" * 28))))
    with pytest.raises(LocalProtocolError, match="one direction"):
        sides(replace(SECURE, receive_key=None))
    with pytest.raises(LocalProtocolError, match="identifier"):
        sides(replace(SECURE, receive_key=MasterKey(SUITE, b"\x01" * 30, b"\x01")))


def test_descriptions() -> None:
    first, second = steps(sides())
    offer = command("c", first, sides(), [1, 1], 1)
    assert isinstance(offer, Offer)
    description = SessionDescription.parse(offer.sdp)
    media = description.audio
    assert media is not None
    assert (media.protocol, media.address(description)) == ("RTP/SAVP", HOPS[1])
    assert len(media.crypto) == 1
    answer = command("c", second, sides(), [7, 1], 2)
    assert isinstance(answer, Answer)
    media = SessionDescription.parse(answer.sdp).audio
    assert media is not None
    assert media.crypto[0].startswith("7 ")  # of the line that the engine has our key in
    assert media.rtpmap(101) is not None


def test_only_new_receive_keys_need_only_an_answer() -> None:
    before = sides()
    assert new_receive_keys(before, before) == []
    after = sides(replace(SECURE, receive_key=NEXT))
    found = new_receive_keys(before, after)
    assert found is not None
    assert len(found) == 1
    step = found[0]
    assert (step.speaker, step.answers, step.key, step.protocol) == (0, True, NEXT, "RTP/AVP")
    assert new_receive_keys(before, sides(replace(SECURE, send_key=NEXT))) is None
    assert new_receive_keys(before, sides(replace(SECURE, payload_type=8))) is None


def test_what_has_to_be_changed_between_the_legs() -> None:
    far = replace(CLEAR, codec=Codec("pcma", 8000), payload_type=8, ptime=30)
    offer, answer = (command("c", step, sides(SECURE, far), [1, 1], 1) for step in steps(sides(SECURE, far)))
    assert isinstance(offer, Offer)
    assert isinstance(answer, Answer)
    assert (offer.options["codec"], offer.options["ptime"]) == ({"mask": ("PCMA",), "transcode": ("PCMU",)}, 20)
    assert (answer.options.get("codec"), answer.options["ptime-reverse"]) == (None, 30)
    with pytest.raises(LocalProtocolError, match="cannot code ilbc"):
        steps(sides(SECURE, replace(CLEAR, codec=Codec("ilbc", 8000), payload_type=97)))
    with pytest.raises(LocalProtocolError, match="payload type"):
        steps(sides(SECURE, replace(CLEAR, payload_type=97)))


@pytest.mark.parametrize(
    "sdp",
    [
        b"", b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 0 RTP/SAVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n",
    ],
)  # fmt: skip
def test_an_engine_that_answers_something_else_is_found_out(sdp: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(steps(sides())[0], sdp)


# a session


def test_a_session_is_carried_and_given_back() -> None:
    box = NgBox()
    session = box.call()
    assert carried(box, session)
    assert [box.hops[session][0], box.hops[session + 1][1]] == [
        replace(SECURE, codec=PASS_THROUGH, send_key=None, receive_key=None), replace(CLEAR, codec=PASS_THROUGH),
    ]  # fmt: skip
    ports = {spec.remote for spec in inner(box, session) if spec is not None}
    assert {address[0] for address in ports if address} == {box.engines[0].host}
    assert len(ports) == 2
    box.release(session)
    assert (box.engines[0].calls, box.hops, box.member.capacity().in_use) == ({}, {}, 0)


def test_a_leg_that_is_not_known_yet_asks_nobody() -> None:
    box = NgBox()
    session = box.call(SECURE, None)
    assert not carried(box, session)
    assert "offer" not in box.engines[0].heard
    box.update(session)
    assert carried(box, session)


def test_hold_is_the_hops_affair() -> None:
    box = NgBox()
    session = box.call()
    before = list(box.engines[0].heard)
    box.update(session, hold(SECURE), CLEAR)
    assert box.engines[0].heard == before
    assert box.hops[session][0] == replace(hold(SECURE), codec=PASS_THROUGH, send_key=None, receive_key=None)


def test_the_peers_new_key_goes_into_the_call_that_is_there() -> None:
    box = NgBox()
    session = box.call()
    (call,) = box.engines[0].calls
    before = inner(box, session)
    box.update(session, replace(SECURE, receive_key=NEXT), CLEAR)
    assert list(box.engines[0].calls) == [call]
    assert box.engines[0].heard[-1] == "answer"
    assert inner(box, session) == before


def test_a_new_key_of_ours_begins_a_new_call() -> None:
    """With it a rollover counter of 0, which an engine would not begin in a call that goes on."""
    box = NgBox()
    session = box.call()
    (call,) = box.engines[0].calls
    box.update(session, replace(SECURE, send_key=NEXT), CLEAR)
    (after,) = box.engines[0].calls
    assert after != call
    assert box.engines[0].heard[-3:] == ["offer", "answer", "delete"]
    assert carried(box, session)


def test_a_new_codec_keeps_the_call_and_its_contexts() -> None:
    box = NgBox()
    session = box.call()
    (call,) = box.engines[0].calls
    box.update(session, replace(SECURE, payload_type=8), replace(CLEAR, payload_type=8))
    assert list(box.engines[0].calls) == [call]
    assert box.engines[0].heard[-2:] == ["offer", "answer"]


def test_a_change_while_something_is_negotiated_comes_after_it() -> None:
    box = NgBox()
    session = box.reserve()
    box.loses = 1
    box.update(session)
    box.update(session, replace(SECURE, receive_key=NEXT), CLEAR)
    assert box.engines[0].heard.count("offer") == 0
    box.ring()
    assert carried(box, session)
    assert [word for word in box.engines[0].heard if word in ("offer", "answer")] == ["offer", "answer", "answer"]


def test_a_call_that_ends_meanwhile_leaves_nothing_behind() -> None:
    box = NgBox()
    session = box.reserve()
    box.loses = 1
    box.update(session)
    box.release(session)
    box.until(box.now + 2)
    assert box.engines[0].heard.count("offer") == 1
    assert box.engines[0].calls == {}


def test_an_engine_with_keys_of_its_own_ends_the_call() -> None:
    box = NgBox()
    box.engines[0].own_keys = True
    session = box.call()
    assert box.events[-1] == MediaLost(session, "rtpengine: it made a key of its own where one was given")
    assert (box.hops, box.engines[0].calls) == ({}, {})


def test_two_suites_end_the_call() -> None:
    box = NgBox()
    other = Suite.AEAD_AES_128_GCM
    far = replace(FAR, send_key=MasterKey(other, b"\x13" * 28), receive_key=MasterKey(other, b"\x14" * 28))
    session = box.call(SECURE, far)
    event = box.events[-1]
    assert isinstance(event, MediaLost)
    assert (event.session, "one suite" in event.cause) == (session, True)


# engines


def test_nobody_is_believed_before_the_first_answer() -> None:
    engines = Rtpengines([EngineSettings.parse(TWO[0])], "203.0.113.1")
    (ping,) = engines.timeout(0.0)
    assert engines.refusal() == Refusal("no-transcoder", "no rtpengine answers")
    assert isinstance(ping, NgSend)
    cookie, command, _said = read_request(ping.datagram)
    assert command == "ping"
    (event,) = engines.received(0, cookie + b" d6:result4:ponge", 0.1)
    assert isinstance(event, Event)
    assert event.name == "rtpengine.up"
    assert engines.refusal() is None


def test_an_engine_that_is_not_there_is_told_once_and_asked_again() -> None:
    box = NgBox()
    box.engines[0].alive = False
    box.until(box.now + 20)
    assert [event.name for event in box.told] == ["rtpengine.up", "rtpengine.lost"]
    assert not box.reserve()
    assert box.refusal == ("no-transcoder", "no rtpengine answers")
    box.engines[0].alive = True
    box.until(box.now + 5)
    assert box.told[-1].name == "rtpengine.up"
    assert box.reserve()


def test_weights_share_the_calls() -> None:
    box = NgBox(f"{TWO[0]},weight=3", TWO[1])
    for _ in range(8):
        box.call()
    assert [len(engine.calls) for engine in box.engines] == [6, 2]


def test_sessions_are_limited_for_each() -> None:
    box = NgBox(f"{TWO[0]},sessions=1", f"{TWO[1]},sessions=1")
    assert box.member.capacity().sessions == 2
    first = box.call()
    box.call()
    assert not box.reserve()
    assert box.refusal == ("pool-full", "every rtpengine is full")
    box.release(first)
    assert box.reserve()


def test_an_engine_that_says_it_is_full_is_passed_over() -> None:
    box = NgBox(*TWO)
    box.engines[0].refuses = {b"result": b"load limit"}
    sessions = [box.call() for _ in range(3)]
    assert all(carried(box, session) for session in sessions)
    assert [len(engine.calls) for engine in box.engines] == [0, 3]
    box.engines[1].refuses = {b"result": b"load limit"}
    session = box.call()
    assert box.events[-1] == MediaLost(session, "rtpengine 203.0.113.10:2223 is full", "pool-full")
    box.engines[0].refuses = box.engines[1].refuses = None
    box.until(box.now + 2 * LOOK)
    assert carried(box, box.call())


def test_an_engine_that_refuses_ends_the_call() -> None:
    box = NgBox()
    box.engines[0].refuses = {b"result": b"error", b"error-reason": b"Incomplete SDP"}
    session = box.call()
    assert box.events[-1] == MediaLost(session, "rtpengine 203.0.113.9:2223: Incomplete SDP")


def test_drained_and_taken_back() -> None:
    box = NgBox(*TWO)
    session = box.call()
    assert box.member.drain(TWO[0])
    box.call()
    box.call()
    assert [len(engine.calls) for engine in box.engines] == [1, 2]
    assert carried(box, session)
    assert box.member.drain(TWO[1])
    assert not box.reserve()
    assert box.refusal == ("pool-full", "every rtpengine drains")
    assert box.member.drain(TWO[0], resume=True)
    assert box.reserve()
    assert not box.member.drain("203.0.113.77:1")


def test_counters_of_a_call_are_asked_for() -> None:
    box = NgBox()
    box.call()
    box.until(box.now + 2 * LOOK)
    (placed,) = box.member.sessions.values()
    assert (placed.packets, placed.phase) == ((12, 3), Phase.CARRIED)
    assert box.member.engines[0].theirs == 1
    assert box.member.statistics() == {"sessions": 1, "failed": 0, "moved": 0}


def test_strange_datagrams_change_nothing() -> None:
    box = NgBox()
    session = box.call()
    for datagram in (b"", b"x", b"0123456789abcdef d6:result5:errore"):
        assert box.member.received(0, datagram, box.now) == []
    assert carried(box, session)


# what the operator writes


@pytest.mark.parametrize(
    ("text", "control", "weight", "sessions"),
    [
        ("127.0.0.1:2223", ("127.0.0.1", 2223), 1, 1000),
        ("127.0.0.1", ("127.0.0.1", 2223), 1, 1000),
        ("127.0.0.1:9,weight=2,sessions=30", ("127.0.0.1", 9), 2, 30),
        ("[2001:db8::1]:9", ("2001:db8::1", 9), 1, 1000),
        ("[2001:db8::1]", ("2001:db8::1", 2223), 1, 1000),
    ],
)
def test_settings(text: str, control: tuple[str, int], weight: int, sessions: int) -> None:
    assert EngineSettings.parse(text) == EngineSettings(control, weight, sessions)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "a.b",
        "1.2.3.4:0",
        "1.2.3.4:x",
        "::1",
        "::1,weight=0",
        "::1,weight",
        "::1,a=1",
        "::1,weight=1,weight=1",
        "::1,",
    ],
)
def test_bad_settings_are_named(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        EngineSettings.parse(text)
    assert refusal.value.fix
