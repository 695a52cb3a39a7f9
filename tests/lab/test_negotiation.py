"""Offer and answer of lab endpoints, at the values."""

from __future__ import annotations

import pytest

from cubelab.audio.codec import PCMA, PCMU
from cubelab.voice.negotiation import PLAIN, SECURE, Negotiation, VoiceProfile, other_key
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdp import Direction, SessionDescription
from cubeproxy.protocols.suites import Suite

CALLER, CALLEE = ("127.0.0.1", 4000), ("127.0.0.2", 4002)


def pair(ours: VoiceProfile = SECURE, theirs: VoiceProfile = SECURE) -> tuple[Negotiation, Negotiation]:
    return Negotiation(ours, CALLER), Negotiation(theirs, CALLEE)


def agree(caller: Negotiation, callee: Negotiation, direction: Direction = Direction.SENDRECV) -> None:
    caller.accept(callee.answer(caller.offer(direction)))


def test_both_ends_agree_on_addresses_and_crossed_keys():
    caller, callee = pair()
    agree(caller, callee)
    assert (caller.session.remote, callee.session.remote) == (CALLEE, CALLER)
    assert caller.session.send_key.master == callee.session.receive_key.master
    assert caller.session.receive_key.master == callee.session.send_key.master
    assert caller.session.send_key.master != caller.session.receive_key.master


def test_the_offerers_first_suite_that_the_answerer_has_is_taken():
    caller, callee = pair(VoiceProfile(suites=tuple(Suite)), VoiceProfile(suites=tuple(reversed(Suite))[:2]))
    agree(caller, callee)
    assert caller.session.send_key.suite is Suite.AES_CM_128_HMAC_SHA1_80


def test_the_codec_is_the_first_of_the_answer():
    caller, callee = pair(VoiceProfile(formats=(PCMU, PCMA)), VoiceProfile(formats=(PCMA,)))
    agree(caller, callee)
    assert caller.session.form is callee.session.form is PCMA


def test_hold_and_resume_keep_keys_and_raise_the_version():
    caller, callee = pair()
    agree(caller, callee)
    first = caller.session
    agree(caller, callee, Direction.SENDONLY)
    assert (caller.session.sends, caller.session.receives) == (True, False)
    assert (callee.session.sends, callee.session.receives) == (False, True)
    agree(callee, caller)  # resumed by the other end
    assert (caller.session.send_key, caller.session.receive_key) == (first.send_key, first.receive_key)
    assert caller.session.sends
    assert callee.session.sends
    version = int(SessionDescription.parse(caller.offer()).origin.version)
    assert int(SessionDescription.parse(caller.offer()).origin.version) == version + 1


def test_the_old_hold_by_address_stops_sending():
    caller, callee = pair(PLAIN, PLAIN)
    callee.answer(caller.offer().replace(b"127.0.0.1", b"0.0.0.0"))
    assert callee.session.remote is None


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        (PLAIN, SECURE, "plain RTP offered"),
        (SECURE, PLAIN, "no crypto line"),
        (VoiceProfile(formats=(PCMU,)), VoiceProfile(formats=(PCMA,)), "no codec"),
        (VoiceProfile(suites=(Suite.AEAD_AES_128_GCM,)), SECURE, "no crypto line"),
    ],
)
def test_what_does_not_fit_is_488(ours, theirs, text):
    caller, callee = pair(ours, theirs)
    with pytest.raises(RemoteProtocolError, match=text) as error:
        callee.answer(caller.offer())
    assert error.value.status == 488


def test_fallback_takes_a_plain_offer():
    caller, callee = pair(PLAIN, VoiceProfile(fallback=True))
    agree(caller, callee)
    assert not callee.session.secure


def test_a_plain_answer_to_an_offer_of_keys_is_refused():
    caller, _ = pair()
    caller.offer()
    other = Negotiation(PLAIN, CALLER)
    plain = Negotiation(PLAIN, CALLEE).answer(other.offer())
    with pytest.raises(RemoteProtocolError, match="plain RTP"):
        caller.accept(plain)


def test_an_answer_with_a_line_that_was_not_offered_is_refused():
    caller, callee = pair()
    answer = callee.answer(caller.offer()).replace(b"a=crypto:1 ", b"a=crypto:7 ")
    with pytest.raises(RemoteProtocolError, match="not offered"):
        caller.accept(answer)


def test_a_second_media_line_is_refused_in_its_place():
    caller, callee = pair(PLAIN, PLAIN)
    offer = caller.offer().replace(b"m=audio", b"m=video 5000 RTP/AVP 96\r\nm=audio")
    answer = SessionDescription.parse(callee.answer(offer))
    assert [(media.kind, media.port) for media in answer.media] == [("video", 0), ("audio", CALLEE[1])]


def test_the_wrong_key_is_another_of_the_same_suite():
    caller, callee = pair()
    agree(caller, callee)
    wrong = other_key(caller.session.send_key)
    assert wrong.suite is caller.session.send_key.suite
    assert wrong.master != caller.session.send_key.master


def test_an_endpoint_keeps_its_key_over_a_new_offer_unless_it_is_one_that_renews():
    caller, callee = pair()
    agree(caller, callee)
    before = callee.session.send_key
    agree(caller, callee)
    assert callee.session.send_key == before
    callee.renews = True
    agree(caller, callee)
    assert callee.session.send_key != before
    assert callee.session.send_key.suite is before.suite
