"""Giving up before the answer, at every stage and across every race (RFC 3261 9, 13.2.2.4, 15)."""

from __future__ import annotations

from cubeproxy.border.effects import Drain
from cubeproxy.protocols.values import ReserveMedia
from tests.border.scene import NODE_2, Scene, called, calling, established, fitting, rtp, srtp


def test_before_media_is_there() -> None:
    scene = Scene(auto_media=False)
    phone = scene.registered()
    phone.calls("2001", srtp())
    phone.gets(100)
    phone.cancels()
    assert phone.gets(200).cseq.method == "CANCEL"
    phone.gets(487)
    (wanted, *_) = scene.media
    assert isinstance(wanted, ReserveMedia)
    scene.grant(wanted)
    assert scene.quiet()
    assert scene.released()
    phone.acks_failure()
    assert scene.leftovers() == {}


def test_before_any_answer_the_cancel_waits_for_one() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    assert node.quiet()
    assert scene.released()
    node.answers(invite, 100)
    cancel = node.hears("CANCEL")
    assert cancel.via.branch == invite.via.branch
    node.answers(cancel, 200)
    node.answers(invite, 487)
    node.hears("ACK")
    assert phone.quiet()
    phone.acks_failure()
    assert scene.leftovers() == {}


def test_while_it_rings() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    node.answers(node.hears("CANCEL"), 200)
    node.answers(invite, 180)
    assert scene.quiet()
    assert len(scene.border.calls) == 1
    node.answers(invite, 487)
    node.hears("ACK")
    assert scene.quiet()
    assert len(scene.border.calls) == 0
    assert "call.connected" not in [event.name for event in scene.events]


def test_a_stop_meanwhile_changes_nothing() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    node.answers(node.hears("CANCEL"), 200)
    scene.feed(Drain(0.0))
    scene.wait(0.1)
    assert scene.quiet()
    assert len(scene.border.calls) == 1
    assert "call.connected" not in [event.name for event in scene.events]
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    node.hears("BYE")
    assert len(scene.border.calls) == 0


def test_the_answer_crosses_our_cancel() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    node.answers(node.hears("CANCEL"), 200)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    bye = node.hears("BYE")
    assert bye.to_tag == node.tag
    node.answers(bye, 200)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    assert node.quiet()
    assert phone.quiet()
    phone.acks_failure()
    assert scene.released()
    assert scene.leftovers() == {}


def test_nobody_answers_the_cancel() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    phone.cancels()
    scene.sent.clear()
    phone.answer = None
    scene.wait(65)
    assert len(scene.border.calls) == 0
    assert scene.leftovers() == {}


def test_the_caller_s_cancel_crosses_our_200() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    phone.cancels()
    assert phone.gets(200).cseq.method == "CANCEL"
    assert scene.quiet()
    assert len(scene.border.calls) == 1


def test_two_forks_answer_and_one_of_them_wins() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    for tag in ("one", "two"):
        node.answers(invite, 180, tag=tag)
        phone.gets(180)
    node.answers(invite, 200, body=rtp(), tag="one")
    assert node.hears("ACK").to_tag == "one"
    phone.gets(200)
    node.answers(invite, 200, body=rtp(), tag="two")
    assert node.hears("ACK").to_tag == "two"
    bye = node.hears("BYE")
    assert bye.to_tag == "two"
    node.answers(bye, 200)
    node.answers(invite, 200, body=rtp(), tag="two")
    assert node.hears("ACK").to_tag == "two"
    assert scene.quiet()
    phone.acks()
    assert len(scene.border.calls) == 1
    assert scene.border.calls.counts()["dialogs"] == 2


def test_a_caller_that_says_bye_in_the_early_dialog() -> None:
    """RFC 3261 15: the caller may; it is as good as a CANCEL."""
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    phone.within("BYE")
    assert phone.gets(200).cseq.method == "BYE"
    phone.gets(487)
    node.answers(node.hears("CANCEL"), 200)
    phone.within("BYE")
    phone.gets(481)
    assert len(scene.border.calls) == 1
    node.answers(invite, 487)
    node.hears("ACK")
    assert len(scene.border.calls) == 0


def test_a_caller_that_says_bye_after_its_cancel() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    early = phone.answer
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    node.hears("CANCEL")
    phone.answer = early
    phone.within("BYE")
    assert phone.gets(200).cseq.method == "BYE"
    assert scene.quiet()
    assert len(scene.border.calls) == 1
    node.answers(invite, 487)
    assert len(scene.border.calls) == 0


def test_a_called_side_that_says_bye_in_the_early_dialog() -> None:
    """It must not (RFC 3261 15), but what it wants is clear."""
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    node.within("BYE")
    assert node.gets(200).cseq.method == "BYE"
    node.hears("CANCEL")
    phone.gets(480)
    assert scene.released()
    assert len(scene.border.calls) == 1
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    node.hears("BYE")
    assert len(scene.border.calls) == 0


def test_a_called_side_that_says_bye_to_our_cancel() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    phone.cancels()
    phone.gets(200)
    phone.gets(487)
    node.hears("CANCEL")
    node.within("BYE")
    assert node.gets(200).cseq.method == "BYE"
    assert scene.quiet()
    assert len(scene.border.calls) == 1
    node.answers(invite, 487)
    assert len(scene.border.calls) == 0


def test_a_cancel_of_a_reinvite_is_passed_on_and_the_call_stays() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(100)
    invite = node.hears("INVITE")
    node.answers(invite, 100)
    phone.cancels()
    phone.gets(200)
    node.answers(node.hears("CANCEL"), 200)
    node.answers(invite, 487)
    node.hears("ACK")
    phone.gets(487)
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(100)
    assert b"a=sendonly" in node.hears("INVITE").body
    assert len(scene.border.calls) == 1


def test_a_cancel_for_nothing() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 486)
    phone.gets(486)
    phone.acks_failure()
    phone.cancels()
    phone.gets(481)


def test_a_node_that_was_given_up_on_answers_late() -> None:
    """Its 2xx is acknowledged and ended on its own path; the node that took the call hears nothing of it."""
    scene = Scene()
    phone, node, first = calling(scene)
    scene.wait(4)
    second = scene.node(NODE_2)
    invite = second.hears("INVITE")
    node.answers(first, 200, body=rtp())
    node.hears("ACK")
    node.answers(node.hears("BYE"), 200)
    second.answers(invite, 200, body=rtp(NODE_2[0]))
    second.hears("ACK")
    phone.gets(200)
    assert scene.quiet()
    assert len(scene.border.calls) == 1


def test_cancelled_by_the_core() -> None:
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, 180)
    node.gets(180)
    node.cancels()
    node.gets(200)
    node.gets(487)
    phone.answers(phone.hears("CANCEL"), 200)
    phone.answers(invite, 200, body=fitting(invite))
    phone.hears("ACK")
    phone.answers(phone.hears("BYE"), 200)
    node.acks_failure()
    assert scene.leftovers() == {}
