"""A call is set up: what the far side hears, what comes back, and who may call at all."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.values import Severity
from tests.border.scene import Scene, called, calling, fitting, media_of, rtp, sample, srtp


def test_provisional_answers_pass_without_a_description_too() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 100)
    assert phone.quiet()
    for status in (180, 181, 182, 183):
        node.answers(invite, status)
        answer = phone.gets(status)
        assert answer.body == b""
        assert answer.to_tag
        assert str(answer.contacts[0].uri) == "sip:1001@192.0.2.1:5061;transport=tls"


def test_a_provisional_answer_without_a_tag_makes_no_dialog() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    text = (
        f"SIP/2.0 180 Ringing\r\nVia: {invite.headers.get('Via')}\r\nFrom: {invite.headers.get('From')}\r\n"
        f"To: {invite.headers.get('To')}\r\nCall-ID: {invite.call_id}\r\nCSeq: 101 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    node.replies(text)
    phone.gets(180)
    node.answers(invite, 486)
    node.hears("ACK")
    phone.gets(486)


@pytest.mark.parametrize("status", [302, 404, 480, 486, 500, 603])
def test_failures_are_relayed(status: int) -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    headers = [("Reason", "Q.850;cause=17"), ("Retry-After", "7"), ("X-Unknown", "1")]
    node.answers(invite, status, headers)
    node.hears("ACK")
    answer = phone.gets(status)
    assert answer.headers.get("Reason") == "Q.850;cause=17"
    assert answer.headers.get("Retry-After") == "7"
    assert "X-Unknown" not in answer.headers
    phone.acks_failure()
    assert scene.released()
    assert scene.leftovers() == {}


def test_a_redirection_never_names_the_core() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 302, [("Contact", "<sip:3001@198.51.100.12:5060>;q=0.5")])
    node.hears("ACK")
    assert phone.gets(302).headers.get("Contact") == "<sip:3001@192.0.2.1>;q=0.5"


@pytest.mark.parametrize(("status", "header"), [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")])
def test_a_challenge_of_the_core_reaches_the_phone_and_its_digest_the_core(status: int, header: str) -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, status, [(header, 'Digest realm="r", nonce="n"')])
    node.hears("ACK")
    assert phone.gets(status).headers.get(header) == 'Digest realm="r", nonce="n"'
    phone.calls("2001", srtp(), [("Proxy-Authorization", 'Digest username="u", response="x"')])
    phone.gets(100)
    assert node.hears("INVITE").headers.get("Proxy-Authorization") == 'Digest username="u", response="x"'


@pytest.mark.parametrize("status", [401, 407])
def test_a_phone_that_asks_for_credentials_gets_none(status: int) -> None:
    """SIP digest leak: nothing of the core's is ever computed for, or shown to, the access side."""
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, status, [("WWW-Authenticate", 'Digest realm="evil", nonce="n"')])
    phone.hears("ACK")
    answer = node.gets(403)
    assert "evil" not in answer.serialise().decode()
    assert phone.quiet()
    assert scene.event("call.refused").cause == "challenged"


def test_credentials_of_the_core_never_reach_a_phone() -> None:
    scene = Scene()
    _, _, invite = called(scene, headers=[("Authorization", "Digest secret"), ("Proxy-Authorization", "Digest more")])
    assert "Authorization" not in invite.headers
    assert "Proxy-Authorization" not in invite.headers


def test_the_core_calls_by_our_contact_or_by_the_number() -> None:
    scene = Scene()
    _, _, invite = called(scene)
    assert invite.uri == "sip:1001@203.0.113.7:40000;transport=tls"
    assert str(invite.to.uri) == "sip:1001@192.0.2.1"
    assert invite.from_.uri.host == "192.0.2.1"
    assert invite.max_forwards == 69
    assert "198.51.100" not in invite.serialise().decode()


def test_only_a_registered_phone_calls() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.calls("2001", srtp())
    phone.gets(100)
    answer = phone.gets(403)
    assert answer.headers.get("Warning") == '399 192.0.2.1 "Not registered"'
    event = scene.event("call.refused")
    assert (event.cause, event.severity, event.device) == ("not-registered", Severity.WARNING, "SEP001122334455")
    assert event.fix
    assert scene.quiet()


def test_a_phone_calls_under_its_own_number_only() -> None:
    scene = Scene()
    phone = scene.registered()
    scene.registered("1002", "SEP001122334466", "203.0.113.8")
    phone.number = "1002"
    phone.calls("2001", srtp())
    phone.gets(100)
    phone.gets(403)
    assert scene.quiet()


def test_a_call_to_nobody() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    node.calls("7777", rtp())
    node.gets(100)
    assert node.gets(404).headers.get("Warning") == '399 198.51.100.1 "No matching outgoing dial-peer"'
    phone.out("INVITE", "sip:192.0.2.1", body=srtp())
    phone.gets(100)
    phone.gets(484)


def test_the_limit_of_a_dial_peer_s_calls() -> None:
    scene = Scene(sample(replace={" description phones, registered with the publisher\n": " max-conn 1\n"}))
    phone, node, invite = calling(scene)
    phone.calls("2002", srtp())
    phone.gets(100)
    answer = phone.gets(503)
    assert answer.headers.get("Warning") == '399 192.0.2.1 "Maximum Number of Connections reached"'
    assert answer.headers.get("Retry-After")
    node.answers(invite, 486)
    phone.calls("2003", srtp())
    node.hears("ACK")
    node.hears("INVITE")


def test_a_body_that_is_no_description_is_refused() -> None:
    scene = Scene()
    phone = scene.registered()
    phone.out("INVITE", "sip:2001@192.0.2.1", body=b"<xml/>", content_type="application/xml")
    phone.gets(100)
    assert phone.gets(415).headers.get("Accept") == "application/sdp"


def test_an_answer_s_body_that_is_no_description_passes() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 480, [("Content-Type", "application/x-cisco-remotecc-response+xml")], raw=b"<a/>")
    node.hears("ACK")
    answer = phone.gets(480)
    assert answer.body == b"<a/>"
    assert answer.headers.get("Content-Type") == "application/x-cisco-remotecc-response+xml"


@pytest.mark.parametrize("body", [b"", b"v=0\r\nbroken\r\n", rtp(formats="18"), rtp().replace(b"audio", b"video")])
def test_a_bad_answer_ends_the_attempt_on_both_sides(body: bytes) -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=body)
    node.hears("ACK")
    node.answers(node.hears("BYE"), 200)
    assert phone.gets(502 if body in (b"", b"v=0\r\nbroken\r\n") else 488).headers.get("Warning")
    node.answers(invite, 200, body=body)  # once more, before the ACK reached it
    node.hears("ACK")
    assert node.quiet()
    phone.acks_failure()
    assert scene.released()
    assert scene.leftovers() == {}


def test_a_bad_preview_ends_the_attempt_too() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, body=b"v=0\r\nbroken\r\n")
    phone.gets(502)
    node.answers(node.hears("CANCEL"), 200)
    assert scene.event("call.refused").cause == "bad-answer"
    assert len(scene.border.calls) == 1
    node.answers(invite, 487)
    node.hears("ACK")
    assert scene.quiet()
    assert len(scene.border.calls) == 0


def test_a_retransmitted_200_gets_the_same_ack_again() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=rtp())
    first = node.hears("ACK")
    phone.gets(200)
    node.answers(invite, 200, body=rtp())
    again = node.hears("ACK")
    assert again.cseq == first.cseq
    assert phone.quiet()


def test_option_tags_that_nobody_passes_are_refused() -> None:
    scene = Scene()
    phone = scene.registered()
    phone.calls("2001", srtp(), [("Require", "timer, foo"), ("Require", "bar, X-cisco-whatever")])
    phone.gets(100)
    assert phone.gets(420).headers.all("Unsupported") == ["foo", "bar"]
    phone.calls("2001", srtp(), [("Require", "replaces")])
    phone.gets(100)
    assert scene.node().hears("INVITE").headers.get("Require") == "replaces"


def test_both_sides_of_a_call_may_be_phones() -> None:
    """The core sends it back to us: two calls, each with its own legs."""
    scene = Scene()
    first = scene.registered()
    second = scene.registered("1002", "SEP001122334466", "203.0.113.8")
    first.calls("1002", srtp())
    first.gets(100)
    node = scene.node()
    outwards = node.hears("INVITE")
    back = scene.node(("198.51.100.12", 5060))
    back.calls("1002", outwards.body)
    back.gets(100)
    invite = second.hears("INVITE")
    second.answers(invite, 200, body=fitting(invite))
    second.hears("ACK")
    ok = back.gets(200)
    node.answers(outwards, 200, body=ok.body)
    node.hears("ACK")
    assert media_of(first.gets(200)).protocol == "RTP/SAVP"
    assert len(scene.border.calls) == 2
