"""Requests outside a dialog pass from one face to the other, once, and their answers come back."""

from __future__ import annotations

from tests.border.scene import NODE_1, Scene

RESET = "action=reset\nRegisterCallId={%s}\nConfigVersionStamp={}\n"


def test_a_phone_is_told_of_waiting_messages() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    node.out(
        "NOTIFY",
        "sip:1001@198.51.100.1",
        headers=[("Event", "message-summary"), ("Subscription-State", "active")],
        body=b"Messages-Waiting: yes\r\n",
        content_type="application/simple-message-summary",
    )
    told = phone.hears("NOTIFY")
    assert told.uri == "sip:1001@203.0.113.7:40000;transport=tls"
    assert told.headers.get("Event") == "message-summary"
    assert told.content_type == "application/simple-message-summary"
    assert told.body == b"Messages-Waiting: yes\r\n"
    assert NODE_1[0] not in told.serialise().decode()
    assert told.call_id != node.request.call_id
    phone.answers(told, 200)
    node.gets(200)
    assert scene.leftovers() == {}


def test_a_reset_names_the_registration_as_the_phone_knows_it() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node = scene.node()
    asked = node.hears("REGISTER")
    node.answers(asked, 200, [("Contact", asked.headers.get("Contact"))])
    phone.gets(200)
    node.out(
        "NOTIFY",
        "sip:1001@198.51.100.1",
        headers=[("Event", "service-control")],
        body=(RESET % asked.call_id).encode(),
        content_type="text/plain",
    )
    told = phone.hears("NOTIFY")
    assert told.body.decode() == RESET % "reg-SEP001122334455-1001"
    phone.answers(told, 200)
    node.gets(200)


def test_a_phone_texts_through_the_node_where_it_is_at_home() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    phone.out("MESSAGE", "sip:2001@192.0.2.1", body=b"hello", content_type="text/plain")
    heard = node.hears("MESSAGE")
    assert heard.body == b"hello"
    assert "192.0.2.1" not in heard.serialise().decode()
    node.answers(heard, 407, [("Proxy-Authenticate", 'Digest realm="cluster", nonce="n"')])
    assert phone.gets(407).headers.get("Proxy-Authenticate") == 'Digest realm="cluster", nonce="n"'


def test_nobody_asks_without_being_registered() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.out("MESSAGE", "sip:2001@192.0.2.1", body=b"hello", content_type="text/plain")
    assert phone.gets(403)
    assert scene.event("request.refused").cause == "not-registered"
    assert scene.quiet()


def test_a_challenge_of_a_phone_stays_outside() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    node.out("NOTIFY", "sip:1001@198.51.100.1", headers=[("Event", "service-control")])
    phone.answers(phone.hears("NOTIFY"), 401, [("WWW-Authenticate", 'Digest realm="phone", nonce="n"')])
    assert node.gets(403).headers.get("WWW-Authenticate") is None


def test_silence_is_said_to_the_asker() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    node.out("NOTIFY", "sip:1001@198.51.100.1", headers=[("Event", "message-summary")])
    phone.hears("NOTIFY")
    scene.wait(33)
    node.gets(408)
    phone.out("MESSAGE", "sip:2001@192.0.2.1")
    scene.fail(scene.next(NODE_1[0]).path)
    phone.gets(503)
    assert scene.leftovers() == {}


def test_an_unknown_number_is_told_so() -> None:
    scene = Scene()
    node = scene.node()
    node.out("NOTIFY", "sip:4711@198.51.100.1", headers=[("Event", "message-summary")])
    node.gets(404)
    assert scene.event("request.refused").cause == "unknown-number"
