"""An offer of new keys and another INVITE in the same call: one waits for the other, whoever was first."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.sdes import read_lines
from tests.border.renewing import accepted, asking, key_in, moved, nothing_left, refused, told
from tests.border.scene import Scene, answered, calling, established, fitting, media_of, rtp, srtp


def test_while_ours_is_open_others_wait() -> None:
    _, phone, node, ours = asking()
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(491)
    phone.acks_failure()
    node.within("INVITE", body=rtp(direction="sendonly"))
    node.gets(491)
    node.acks_failure()
    node.within("UPDATE", body=rtp(direction="sendonly"))
    node.gets(491)
    accepted(phone, ours)
    node.within("UPDATE", body=rtp(direction="sendonly"))
    assert phone.hears("UPDATE").body


def test_491_is_followed_by_another_try() -> None:
    """RFC 3261 14.1: the phone made the Call-ID, so we wait up to two seconds."""
    scene, phone, _, first = asking()
    refused(phone, first, 491)
    scene.wait(2.01)
    second = told(phone)
    assert key_in(second) == key_in(first)
    assert second.cseq.number == first.cseq.number + 1
    assert scene.access.sends


def test_491_on_a_leg_that_we_opened_takes_longer() -> None:
    scene, phone, _, invite = asking(answered)
    refused(phone, invite, 491)
    scene.wait(2.0)
    assert phone.quiet()
    scene.wait(2.1)
    told(phone)


def test_an_offer_that_passes_meanwhile_takes_the_new_key_with_it() -> None:
    scene, phone, node, first = asking()
    refused(phone, first, 491)
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp(direction="recvonly"))
    node.hears("ACK")
    answer = phone.gets(200)
    (line,) = read_lines(media_of(answer).crypto)[0]
    assert line.key == key_in(first) == scene.access.send_key
    phone.acks()
    scene.wait(5)
    assert scene.quiet()
    assert scene.border.user.counts()["user alarms"] == len(scene.border.registrations.bindings)


@pytest.mark.parametrize("who", ["phone", "core"])
def test_an_offer_that_was_open_is_waited_for(who: str) -> None:
    scene = Scene()
    phone, node = established(scene)
    first, last, offer = (phone, node, srtp()) if who == "phone" else (node, phone, rtp())
    first.within("INVITE", body=offer)
    first.gets(100)
    theirs = last.hears("INVITE")
    moved(scene)
    assert scene.quiet()
    assert not scene.access.sends
    last.answers(theirs, 200, body=fitting(theirs))
    last.hears("ACK")
    first.gets(200)
    assert not scene.access.sends, "what passed had the old key in it"
    scene.wait(0.4)
    assert scene.quiet(), "their ACK is awaited"
    first.acks()
    scene.wait(0.2)
    told(phone)
    assert scene.access.sends


def test_a_hang_up_of_the_called_side_before_the_ack_lets_the_callers_bye_wait() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    moved(scene)
    node.within("BYE")
    node.gets(200)
    assert phone.quiet(), "a BYE must wait for the ACK (RFC 3261 15)"
    phone.acks()
    phone.answers(phone.hears("BYE"), 200)
    nothing_left(scene)


def test_a_call_that_is_not_acknowledged_yet() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    moved(scene)
    scene.wait(0.3)
    assert scene.quiet()
    phone.acks()
    scene.wait(0.2)
    told(phone)
    assert scene.access.sends
