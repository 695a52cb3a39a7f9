"""An INVITE without an offer: the offer comes in the 2xx, the answer in the ACK (RFC 3261 13.2.1)."""

from __future__ import annotations

import pytest

from tests.border.scene import Peer, Scene, answered, called, calling, established, fitting, media_of, rtp, srtp


def crypto_answer(offer_line: str) -> bytes:
    return srtp().replace(b"crypto:1", f"crypto:{offer_line.split(maxsplit=1)[0]}".encode())


def offered(scene: Scene) -> tuple[Peer, Peer, bytes]:
    """A phone called without an offer; it has the core's offer as SRTP and owes the answer."""
    phone, node, invite = calling(scene, b"")
    assert invite.body == b""
    assert "Content-Type" not in invite.headers
    node.answers(invite, 200, body=rtp())
    assert node.quiet()
    line = next(value for value in media_of(phone.gets(200)).crypto if "SHA1_80" in value)
    return phone, node, crypto_answer(line)


def test_the_answer_in_the_ack_goes_on_in_our_ack() -> None:
    scene = Scene()
    phone, node, answer = offered(scene)
    phone.acks(answer)
    ack = node.hears("ACK")
    assert media_of(ack).protocol == "RTP/AVP"
    access, core = scene.updated().legs
    assert access is not None
    assert core is not None
    assert core.remote == ("198.51.100.11", 30000)
    scene.event("call.connected")


def test_a_200_again_waits_for_the_answer_and_then_gets_it_once_more() -> None:
    scene = Scene()
    phone, node, invite = calling(scene, b"")
    node.answers(invite, 200, body=rtp())
    line = next(value for value in media_of(phone.gets(200)).crypto if "SHA1_80" in value)
    node.answers(invite, 200, body=rtp())
    assert node.quiet()
    phone.acks(crypto_answer(line))
    first = node.hears("ACK")
    node.answers(invite, 200, body=rtp())
    assert node.hears("ACK").body == first.body


@pytest.mark.parametrize("body", [b"", b"v=0\r\nbroken\r\n"])
def test_an_ack_without_a_good_answer_ends_the_call(body: bytes) -> None:
    scene = Scene()
    phone, node, _ = offered(scene)
    phone.acks(body)
    assert node.hears("ACK").body == b""
    node.answers(node.hears("BYE"), 200)
    phone.answers(phone.hears("BYE"), 200)
    assert scene.event("call.ended").cause == "bad-sdp"
    assert scene.released()
    assert scene.leftovers() == {}


def test_hanging_up_in_the_place_of_the_ack_acknowledges_the_core_first() -> None:
    scene = Scene()
    phone, node, _ = offered(scene)
    phone.within("BYE")
    phone.gets(200)
    node.hears("ACK")
    node.answers(node.hears("BYE"), 200)
    assert scene.leftovers() == {}


def test_the_core_calls_without_an_offer() -> None:
    scene = Scene()
    phone, node, invite = called(scene, b"")
    phone.answers(invite, 200, body=srtp())
    offer = media_of(node.gets(200))
    assert offer.protocol == "RTP/AVP"
    node.acks(rtp())
    assert media_of(phone.hears("ACK")).protocol == "RTP/SAVP"


def test_a_reinvite_without_an_offer() -> None:
    """How a cluster takes a call back from hold: the far side offers, the answer is in the ACK."""
    scene = Scene()
    phone, node = established(scene)
    node.within("INVITE")
    node.gets(100)
    invite = phone.hears("INVITE")
    assert invite.body == b""
    phone.answers(invite, 200, body=srtp())
    offer = node.gets(200)
    assert media_of(offer).protocol == "RTP/AVP"
    assert phone.quiet()
    phone.answers(invite, 200, body=srtp())
    assert phone.quiet()
    node.within("ACK", body=rtp(port=31000), cseq=offer.cseq.number)
    ack = phone.hears("ACK")
    assert media_of(ack).protocol == "RTP/SAVP"
    core = scene.updated().legs[1]
    assert core is not None
    assert core.remote == ("198.51.100.11", 31000)
    phone.answers(invite, 200, body=srtp())
    assert phone.hears("ACK").body == ack.body


def test_an_ack_of_the_first_invite_again_answers_no_later_offer() -> None:
    scene = Scene()
    phone, node = established(scene)
    first = phone.request
    phone.within("INVITE")
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    phone.gets(200)
    assert first is not None
    phone.says(first)
    assert scene.quiet()
    assert len(scene.border.calls) == 1


def test_a_bye_while_the_answer_is_awaited() -> None:
    scene = Scene()
    phone, node = answered(scene)
    phone.within("INVITE")
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    phone.gets(200)
    node.within("BYE")
    node.gets(200)
    node.hears("ACK")
    phone.answers(phone.hears("BYE"), 200)
    assert scene.leftovers() == {}


def test_a_second_reinvite_waits_for_the_first_one_s_ack() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("INVITE")
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    phone.gets(200)
    node.within("INVITE", body=rtp())
    node.gets(491)


def test_an_update_s_offer_needs_an_answer() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("UPDATE", body=srtp())
    node.answers(node.hears("UPDATE"), 200)
    phone.gets(502)
    phone.within("UPDATE", body=srtp(direction="sendonly"))
    update = node.hears("UPDATE")
    node.answers(update, 200, body=fitting(update, "recvonly"))
    phone.gets(200)
