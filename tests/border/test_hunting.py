"""A call tries one core node after another, and gives up in time."""

from __future__ import annotations

from cubeproxy.protocols.values import Target
from tests.border.scene import NODE_1, NODE_2, Scene, called, calling, rtp, sample, srtp


def path_to(scene: Scene, host: str) -> Target:
    return next(path for path in scene.border.nodes.watches if path.host == host)


def test_a_silent_node_is_passed_over_in_four_seconds() -> None:
    scene = Scene()
    phone, node, first = calling(scene)
    scene.wait(3.9)
    assert scene.quiet()
    scene.wait(0.2)
    second = scene.node(NODE_2)
    invite = second.hears("INVITE")
    assert invite.call_id != first.call_id
    assert invite.uri == "sip:2001@198.51.100.12:5060"
    second.answers(invite, 200, body=rtp(NODE_2[0]))
    second.hears("ACK")
    phone.gets(200)
    phone.acks()
    node.answers(first, 180)
    node.answers(node.hears("CANCEL"), 200)
    node.answers(first, 487)
    node.hears("ACK")
    assert scene.quiet()


def test_a_node_that_refuses_the_connection_or_says_503() -> None:
    for refuse in (True, False):
        scene = Scene()
        _, node, invite = calling(scene)
        if refuse:
            scene.fail(path_to(scene, NODE_1[0]))
        else:
            node.answers(invite, 503)
            node.hears("ACK")
        scene.node(NODE_2).hears("INVITE")
        assert len(scene.border.calls) == 1


def test_any_other_answer_is_the_answer() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 404)
    node.hears("ACK")
    phone.gets(404)
    assert scene.quiet()


def test_once_it_rings_no_other_node_is_asked() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    scene.wait(10)
    node.answers(invite, 503)
    node.hears("ACK")
    phone.gets(503)
    assert scene.quiet()


def test_no_node_answers() -> None:
    scene = Scene()
    phone, _, _ = calling(scene)
    scene.fail(path_to(scene, NODE_1[0]))
    scene.fail(path_to(scene, NODE_2[0]))
    scene.sent = [sent for sent in scene.sent if sent.path is phone.flow]
    answer = phone.gets(503)
    assert answer.headers.get("Retry-After") == "10"
    assert answer.headers.get("Warning") == '399 192.0.2.1 "No core node answers"'
    assert scene.event("call.refused").cause == "all-nodes-down"
    phone.acks_failure()
    assert scene.released()
    assert scene.leftovers() == {}


def test_a_node_that_failed_rests_and_the_next_call_goes_to_the_other_first() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 503)
    node.hears("ACK")
    second = scene.node(NODE_2)
    second.answers(second.hears("INVITE"), 486)
    second.hears("ACK")
    phone.gets(486)
    phone.acks_failure()
    phone.calls("2002", srtp())
    phone.gets(100)
    second.answers(second.hears("INVITE"), 503)
    node.hears("INVITE")  # the resting one, better than none
    scene.wait(31)
    assert scene.border.nodes.is_up(path_to(scene, NODE_1[0]))


def test_a_call_goes_first_to_the_node_where_the_phone_is_registered() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node = scene.node()
    node.answers(node.hears("REGISTER"), 503)
    second = scene.node(NODE_2)
    asked = second.hears("REGISTER")
    second.answers(asked, 200, [("Contact", asked.headers.get("Contact") or "")])
    phone.gets(200)
    scene.wait(31)
    phone.calls("2001", srtp())
    phone.gets(100)
    second.hears("INVITE")


def test_with_all_nodes_down_a_call_is_refused_at_once() -> None:
    scene = Scene(sample(keepalive=True, replace={"retry 5": "retry 1"}))
    phone = scene.registered()
    scene.wait(6)
    scene.sent.clear()
    phone.calls("2001", srtp())
    phone.gets(100)
    phone.gets(503)
    assert scene.event("call.refused").cause == "all-nodes-down"


def test_nobody_answers_the_ringing() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.gets(180)
    scene.wait(181)
    answer = phone.gets(408)
    assert answer.headers.get("Reason") == "Q.850;cause=102"
    node.answers(node.hears("CANCEL"), 200)
    assert len(scene.border.calls) == 1
    node.answers(invite, 487)
    assert len(scene.border.calls) == 0
    assert scene.event("call.refused").cause == "no-answer"
    assert scene.released()


def test_media_that_is_never_granted() -> None:
    scene = Scene(auto_media=False)
    phone = scene.registered()
    phone.calls("2001", srtp())
    phone.gets(100)
    scene.wait(181)
    phone.gets(408)
    assert len(scene.border.calls) == 0


def test_a_phone_that_does_not_answer_at_all() -> None:
    scene = Scene()
    _, node, _ = called(scene)
    scene.wait(33)
    node.gets(408)
    assert scene.event("call.refused").cause == "no-answer"


def test_a_phone_whose_connection_breaks_while_it_rings() -> None:
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, 180)
    node.gets(180)
    scene.close(phone.flow)
    node.gets(480)
    assert scene.event("call.refused").cause == "phone-away"
    assert scene.released()
