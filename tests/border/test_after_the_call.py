"""What an INVITE may still get after its call is over (RFC 6026 7.2), and how little is kept for it."""

from __future__ import annotations

import gc

from cubeproxy.border.call import Call
from cubeproxy.border.hunt import Attempt
from cubeproxy.protocols.sip.message import Request
from tests.border.scene import Peer, Scene, calling, rtp


def over(scene: Scene) -> tuple[Peer, Request]:
    """A call that was answered, acknowledged and ended; the node and the INVITE that it got."""
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    phone.within("BYE")
    node.answers(node.hears("BYE"), 200)
    phone.gets(200)
    return node, invite


def test_the_answer_again_gets_its_ack_and_nobody_else_hears_of_it() -> None:
    scene = Scene()
    node, invite = over(scene)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    assert node.quiet()


def test_another_fork_that_answers_late_is_acknowledged_and_ended() -> None:
    scene = Scene()
    node, invite = over(scene)
    node.answers(invite, 200, body=rtp(), tag="late")
    assert node.hears("ACK").to_tag == "late"
    assert node.hears("BYE").to_tag == "late"


def test_nothing_of_the_call_is_kept_but_the_invite_without_its_keys() -> None:
    scene = Scene()
    over(scene)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Call) and thing.calls is scene.border.calls]
    attempts = [waiter for waiter in scene.border.user._waiters.values() if isinstance(waiter, Attempt)]
    assert [attempt.invite.body for attempt in attempts] == [b""]
