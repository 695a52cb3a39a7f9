"""What a peer may not ask for: the answer that it gets, and the one event for the operator."""

from __future__ import annotations

import pytest

from cubeproxy.border.registrations import MOST_NUMBERS
from tests.border.scene import ACCESS, CORE, NODE_1, NODE_2, Scene, established, rtp, sample, srtp


@pytest.mark.parametrize(
    ("host", "port"),
    [("224.0.0.1", 20000), ("255.255.255.255", 20000), ACCESS, CORE, NODE_1, NODE_2],
    ids=["multicast", "broadcast", "our access port", "our core port", "first node", "second node"],
)
def test_a_phone_cannot_aim_audio_at_groups_or_signalling_ports(host: str, port: int) -> None:
    scene = Scene()
    phone = scene.registered()
    phone.calls("2001", srtp(host, port))
    phone.gets(100)
    refused = phone.gets(488)
    assert "Media address not allowed" in (refused.headers.get("Warning") or "")
    assert scene.event("call.refused").cause == "media-address"
    assert not scene.media
    assert scene.quiet(NODE_1[0], NODE_2[0])


def test_the_core_may_name_our_own_address() -> None:
    """A call from phone to phone meets itself at the core, which hands our description back to us."""
    scene = Scene()
    scene.registered()
    scene.node().calls("1001", rtp(CORE[0], 16004))
    assert not [event for event in scene.events if event.name == "call.refused"]


def test_a_phone_cannot_move_its_audio_there_later() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", srtp())
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    agreed = scene.updated()
    phone.within("INVITE", body=srtp("224.0.0.1"))
    phone.gets(100)
    phone.gets(488)
    assert scene.updated() is agreed
    assert node.quiet()


def test_a_register_without_a_core_is_told_to_the_operator() -> None:
    scene = Scene(sample(keepalive=True))
    phone = scene.phone()
    scene.wait(600.0)  # no node answers any OPTIONS
    scene.sent.clear()
    phone.register()
    assert phone.gets(503).headers.get("Retry-After") == "10"
    event = scene.event("registration.refused")
    assert (event.cause, event.device) == ("all-nodes-down", "SEP001122334455")
    assert event.fix


def test_a_register_that_no_node_answers_is_told_too() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    scene.wait(70.0)
    phone.gets(503)
    assert scene.event("registration.refused").cause == "all-nodes-down"


def test_an_invite_without_a_core_is_told_to_the_operator() -> None:
    scene = Scene(sample(keepalive=True))
    phone = scene.registered()
    scene.wait(200.0)
    scene.sent.clear()
    phone.calls("2001", srtp())
    phone.gets(100)
    phone.gets(503)
    assert scene.event("call.refused").cause == "all-nodes-down"


def test_a_device_holds_so_many_numbers_and_no_more() -> None:
    """Every number that is asked for is remembered for a while, whether or not the core ever knows it."""
    scene = Scene()
    phone = scene.registered()
    for number in range(2000, 2000 + MOST_NUMBERS - 1):
        phone.number = str(number)
        phone.register()
    scene.sent.clear()
    phone.number = "9999"
    phone.register()
    phone.gets(403)
    assert scene.event("registration.refused").cause == "too-many-numbers"
    other = scene.phone("9999", "SEP001122334466", "203.0.113.8")
    other.register()
    scene.node().hears("REGISTER")
    scene.sent.clear()
    scene.wait(100.0)  # those that the core never accepted are forgotten
    scene.sent.clear()
    phone.register()
    scene.node().hears("REGISTER")


def test_the_operator_can_tell_malformed_messages_apart() -> None:
    scene = Scene()
    phone = scene.registered()
    phone.says("OPTIONS sip:x@192.0.2.1 SIP/7.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
               "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")  # fmt: skip
    phone.gets(505)
    event = scene.event("sip.malformed")
    assert event.cause == "505"
    assert "SIP/7.0" in str(event.fields["reason"])


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "REFER", "INFO"])
def test_another_phones_dialog_is_closed_to_a_phone(method: str) -> None:
    scene = Scene()
    phone, node = established(scene)
    thief = scene.registered("1002", "SEP001122334466", "203.0.113.8")
    scene.sent.clear()
    uri = f"sip:x@{ACCESS[0]}"
    assert phone.invite is not None
    assert phone.answer is not None
    thief.says(
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK-thief\r\nMax-Forwards: 70\r\n"
        f"From: <sip:1001@h>;tag={phone.invite.from_tag}\r\nTo: <{uri}>;tag={phone.answer.to_tag}\r\n"
        f"Call-ID: {phone.invite.call_id}\r\nCSeq: 900 {method}\r\nContact: <sip:1002@h>\r\nContent-Length: 0\r\n\r\n"
    )
    thief.gets(481)
    assert phone.quiet()
    assert node.quiet()
    event = scene.event("dialog.foreign")
    assert (event.device, event.cause) == ("SEP001122334466", "foreign-dialog")
