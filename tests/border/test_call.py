"""A phone with SRTP calls the core with RTP and back: the ladder, both descriptions and both media legs."""

from __future__ import annotations

from cubeproxy.protocols.sdp import SessionDescription
from cubeproxy.protocols.values import Need, ReserveMedia
from tests.border.scene import Scene, established, rtp, srtp


def test_a_phone_calls_the_core() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()

    phone.calls("2001", srtp())
    phone.gets(100)
    invite = node.hears("INVITE")
    offer = SessionDescription.parse(invite.body)
    assert offer.media[0].protocol == "RTP/AVP"
    assert not offer.media[0].crypto
    assert offer.media[0].address(offer) == ("198.51.100.1", 16006)
    assert phone.invite is not None
    assert invite.call_id != phone.invite.call_id
    assert "192.0.2.1" not in invite.serialise().decode()
    assert "203.0.113.7" not in invite.serialise().decode()

    node.answers(invite, 180)
    phone.gets(180)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    ok = phone.gets(200)
    answer = SessionDescription.parse(ok.body)
    assert answer.media[0].protocol == "RTP/SAVP"
    assert answer.media[0].address(answer) == ("192.0.2.1", 16004)
    phone.acks()

    access, core = scene.access, scene.core
    assert access.remote == ("203.0.113.7", 20000)
    assert core.remote == ("198.51.100.11", 30000)
    assert access.receive_key is not None
    assert access.receive_key.master[:4] == bytes([0, 1, 2, 3])
    assert core.receive_key is core.send_key is None

    phone.within("BYE")
    node.answers(node.hears("BYE"), 200)
    phone.gets(200)
    assert scene.released()
    assert scene.leftovers() == {}


def test_the_core_calls_a_phone() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    node.calls("1001", rtp())
    node.gets(100)
    invite = phone.hears("INVITE")
    offer = SessionDescription.parse(invite.body)
    assert offer.media[0].protocol == "RTP/SAVP"
    assert len(offer.media[0].crypto) == 4
    phone.answers(invite, 180)
    node.gets(180)
    crypto = next(line for line in offer.media[0].crypto if "SHA1_80" in line)
    tag = crypto.split()[0]
    phone.answers(invite, 200, body=srtp().replace(b"crypto:1", f"crypto:{tag}".encode()))
    phone.hears("ACK")
    node.gets(200)
    node.acks()
    node.within("BYE")
    phone.answers(phone.hears("BYE"), 200)
    node.gets(200)
    assert scene.released()
    assert scene.leftovers() == {}


def test_media_is_reserved_for_crypto_on_ios_xe() -> None:
    scene = Scene()
    established(scene)
    wanted = next(command for command in scene.media if isinstance(command, ReserveMedia))
    assert wanted.need is Need.CRYPTO
    assert wanted.local == ("192.0.2.1", "198.51.100.1")


def test_hold_and_resume_pass_and_keep_ports_and_keys() -> None:
    scene = Scene()
    phone, node = established(scene)
    keys = scene.access.send_key
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(100)
    held = node.hears("INVITE")
    assert b"a=sendonly" in held.body
    node.answers(held, 200, body=rtp(direction="recvonly"))
    node.hears("ACK")
    ok = phone.gets(200)
    assert b"a=recvonly" in ok.body
    assert b"m=audio 16004 RTP/SAVP" in ok.body
    phone.acks()
    access, core = scene.access, scene.core
    assert (access.sends, access.receives) == (False, True)
    assert (core.sends, core.receives) == (True, False)
    assert access.send_key == keys
    phone.within("INVITE", body=srtp())
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    assert scene.access.sends
    node.within("BYE")
    node.gets(200)
    phone.answers(phone.hears("BYE"), 200)
    assert scene.leftovers() == {}


def test_no_key_of_a_call_shows() -> None:
    scene = Scene()
    established(scene)
    (call,) = scene.border.calls
    ours = SessionDescription.parse(call.negotiation.sides[0].sent).media[0].crypto[0].partition("inline:")[2]
    assert ours
    shown = repr((call.negotiation.sides, call.negotiation.session))
    assert ours[:20] not in shown
