"""A call that has lost its engine ends when nobody can be told of new keys, each time with its cause."""

from __future__ import annotations

import pytest

from cubeproxy.border.effects import Drain
from cubeproxy.border.renewal import WITHIN
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.values import MediaLost
from tests.border.renewing import asking, ended, moved, nothing_left, refused
from tests.border.scene import Scene, answered, called, calling, established, rtp, srtp


def test_a_phone_that_refuses() -> None:
    scene, phone, node, invite = asking()
    refused(phone, invite, 488)
    ended(scene, phone, node, "no-new-keys", 41)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=0\r\nbad\r\n",
        rtp("203.0.113.7"),
        srtp(port=0),
        srtp(formats="8").replace(b"rtpmap:0 PCMU", b"rtpmap:8 PCMA"),
        srtp().replace(b"crypto:1", b"crypto:7"),
    ],
    ids=["none", "broken", "clear", "refused", "another codec", "another line"],
)
def test_an_answer_that_cannot_be_taken(body: bytes) -> None:
    scene, phone, node, invite = asking()
    phone.answers(invite, 200, body=body)
    phone.hears("ACK")
    ended(scene, phone, node, "no-new-keys", 41)


def test_a_phone_that_says_nothing() -> None:
    scene, phone, node, invite = asking()
    phone.answers(invite, 100)
    scene.wait(WITHIN + 0.1)
    phone.answers(phone.hears("CANCEL"), 200)
    phone.answers(invite, 487)
    phone.hears("BYE")
    node.hears("BYE")
    assert scene.event("call.ended").cause == "no-new-keys"


def test_one_that_crosses_us_for_ever() -> None:
    scene = Scene()
    phone, node = answered(scene)
    scene.border.calls.octets = lambda count: b"\0" * count  # the shortest pause each time
    moved(scene)
    for _ in range(10):
        if isinstance(scene.sent[0].message, Request) and scene.sent[0].message.method == "BYE":
            break
        refused(phone, phone.hears("INVITE"), 491)
        while not scene.sent:
            scene.wait(0.1)
    ended(scene, phone, node, "no-new-keys", 41)


@pytest.mark.parametrize("status", [481, 408])
def test_a_phone_that_has_forgotten_the_call(status: int) -> None:
    scene, phone, node, invite = asking()
    refused(phone, invite, status)
    node.answers(node.hears("BYE"), 200)
    assert phone.quiet()
    assert scene.event("call.ended").cause == str(status)
    nothing_left(scene)


def test_the_loss_of_the_second_engine_while_it_is_asked() -> None:
    """No farm has room: resources unavailable."""
    scene, phone, node, invite = asking()
    phone.answers(invite, 100)
    scene.feed(MediaLost(1, "DSP farm lost: reset by peer", "pool-full"))
    phone.answers(phone.hears("CANCEL"), 200)
    phone.answers(invite, 487)
    phone.hears("BYE")
    assert node.hears("BYE").headers.get("Reason") == "Q.850;cause=47"
    assert scene.event("call.ended").cause == "pool-full"


def test_a_preview_of_the_old_key() -> None:
    """While it rings the caller may have heard our key already; a final answer cannot take it back."""
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, body=rtp())
    phone.gets(183)
    moved(scene)
    phone.gets(500)
    node.answers(node.hears("CANCEL"), 200)
    assert len(scene.border.calls) == 1, "the final answer of the called side is awaited"
    node.answers(invite, 487)
    phone.acks_failure()
    assert scene.leftovers() == {}


@pytest.mark.parametrize("then", ["rings", "draining", "nothing"])
def test_nobody_is_told_of_anything_once_the_caller_has_given_up(then: str) -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, body=rtp())
    phone.gets(183)
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    phone.acks_failure()
    node.answers(node.hears("CANCEL"), 200)
    if then == "rings":
        node.answers(invite, 180)
    elif then == "draining":
        scene.feed(Drain(0.0))
    scene.wait(WITHIN + 1)
    node.answers(invite, 487)
    node.hears("ACK")
    nothing_left(scene)


def test_the_loss_of_an_engine_without_another_ends_the_call_for_want_of_resources() -> None:
    scene = Scene()
    phone, node = established(scene)
    scene.feed(MediaLost(1, "DSP farm lost: reset by peer", "pool-full"))
    ended(scene, phone, node, "pool-full", 47)


def test_a_called_phone_that_rings_is_not_told() -> None:
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, 180)
    node.gets(180)
    moved(scene)
    node.gets(500)
    assert phone.hears("CANCEL").cseq.number == invite.cseq.number
