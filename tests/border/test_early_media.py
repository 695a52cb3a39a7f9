"""Early media and reliable provisional responses (RFC 3261 13.2.1, RFC 3262, RFC 6337)."""

from __future__ import annotations

from tests.border.scene import Peer, Scene, called, calling, fitting, media_of, rtp, srtp

RELIABLE = [("Require", "100rel"), ("RSeq", "41")]


def prack(phone: Peer, rack: str, body: bytes = b"") -> None:
    """`rack` is the RSeq of the phone's INVITE, or a whole RAck."""
    assert phone.invite is not None
    rack = f"{rack} {phone.invite.cseq}" if rack.isdigit() else rack
    phone.within("PRACK", headers=[("RAck", rack)], body=body)


def test_a_183_with_a_description_opens_the_media_at_once() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, body=rtp(port=31000))
    early = phone.gets(183)
    assert media_of(early).protocol == "RTP/SAVP"
    access, core = scene.updated().legs
    assert core is not None
    assert access is not None
    assert core.remote == ("198.51.100.11", 31000)
    node.answers(invite, 200, body=rtp(port=32000))
    node.hears("ACK")
    assert media_of(phone.gets(200)).protocol == "RTP/SAVP"
    core = scene.updated().legs[1]
    assert core is not None
    assert core.remote == ("198.51.100.11", 32000)


def test_a_preview_may_be_confirmed_by_a_200_without_a_description() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, body=rtp())
    phone.gets(183)
    node.answers(invite, 200)
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(100)
    node.hears("INVITE")


def test_a_preview_comes_again_and_again() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    for port in (31000, 31002):
        node.answers(invite, 183, body=rtp(port=port))
        phone.gets(183)
        core = scene.updated().legs[1]
        assert core is not None
        assert core.remote == ("198.51.100.11", port)


def test_a_preview_without_an_offer_is_no_offer() -> None:
    scene = Scene()
    phone, node, invite = calling(scene, b"")
    node.answers(invite, 183, body=rtp())
    assert phone.gets(183).body == b""
    node.answers(invite, 200, body=rtp())
    offer = media_of(phone.gets(200))
    assert offer.protocol == "RTP/SAVP"
    assert node.quiet()


def test_rack_names_the_other_leg_s_invite_and_response() -> None:
    scene = Scene()
    phone, node, invite = calling(scene, headers=[("Supported", "100rel")])
    node.answers(invite, 183, RELIABLE, rtp())
    answer = phone.gets(183)
    assert answer.headers.get("Require") == "100rel"
    assert answer.headers.get("RSeq") == "1"
    prack(phone, "1")
    heard = node.hears("PRACK")
    assert heard.headers.get("RAck") == f"41 {invite.cseq}"
    node.answers(heard, 200)
    phone.gets(200)


def test_a_reliable_response_again_keeps_its_number_and_the_next_gets_the_next() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    numbers = []
    for rseq in ("41", "41", "42"):
        node.answers(invite, 180, [("Require", "100rel"), ("RSeq", rseq)])
        numbers.append(phone.gets(180).headers.get("RSeq"))
    assert numbers == ["1", "1", "2"]
    prack(phone, "2")
    assert node.hears("PRACK").headers.get("RAck") == f"42 {invite.cseq}"


def test_two_forks_share_the_caller_s_numbers_and_each_gets_its_own_prack() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    for tag in ("one", "two"):
        node.answers(invite, 180, [("Require", "100rel"), ("RSeq", "7")], tag=tag)
    assert [phone.gets(180).headers.get("RSeq") for _ in range(2)] == ["1", "2"]
    prack(phone, "1")
    first = node.hears("PRACK")
    assert (first.to_tag, first.headers.get("RAck")) == ("one", f"7 {invite.cseq}")
    node.answers(first, 200)
    phone.gets(200)
    prack(phone, "2")
    assert node.hears("PRACK").to_tag == "two"


def test_a_prack_for_nothing_is_refused() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 180, RELIABLE)
    phone.gets(180)
    prack(phone, "9")
    phone.gets(481)
    prack(phone, "nonsense")
    assert node.hears("PRACK").headers.get("RAck") == "nonsense"


def test_the_answer_in_a_reliable_183_is_the_answer_and_the_200_repeats_it() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, RELIABLE, rtp())
    early = phone.gets(183)
    updates = len(scene.media)
    node.answers(invite, 180, body=rtp())
    assert phone.gets(180).body == early.body
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    assert phone.gets(200).body == early.body
    assert len(scene.media) == updates
    phone.acks()
    assert node.quiet()
    phone.within("BYE")
    node.hears("BYE")


def test_another_fork_s_200_moves_the_media_and_not_the_answer() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, RELIABLE, rtp(port=31000), tag="one")
    early = phone.gets(183)
    node.answers(invite, 200, body=rtp(port=33000), tag="two")
    node.hears("ACK")
    assert phone.gets(200).body == early.body
    core = scene.updated().legs[1]
    assert core is not None
    assert core.remote == ("198.51.100.11", 33000)


def test_an_offer_in_a_reliable_response_is_answered_in_the_prack() -> None:
    scene = Scene()
    phone, node, invite = calling(scene, b"")
    node.answers(invite, 183, RELIABLE, rtp())
    offer = phone.gets(183)
    assert len(media_of(offer).crypto) == 4
    prack(phone, "1", srtp(suite="AEAD_AES_256_GCM", key="A" * 58 + "AA"))
    phone.gets(488)
    node.answers(invite, 486)
    node.hears("ACK")
    phone.gets(486)


def test_and_with_a_good_answer_the_call_goes_on() -> None:
    scene = Scene()
    phone, node, invite = calling(scene, b"")
    node.answers(invite, 183, RELIABLE, rtp())
    line = next(value for value in media_of(phone.gets(183)).crypto if "SHA1_80" in value)
    prack(phone, "1", srtp().replace(b"crypto:1", f"crypto:{line.split()[0]}".encode()))
    heard = node.hears("PRACK")
    assert media_of(heard).protocol == "RTP/AVP"
    node.answers(heard, 200)
    phone.gets(200)
    assert scene.updated().legs[0] is not None
    node.answers(invite, 200)
    node.hears("ACK")
    phone.gets(200)
    phone.acks()


def test_an_update_in_the_early_dialog_offers_anew() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 183, RELIABLE, rtp())
    phone.gets(183)
    phone.within("UPDATE", body=srtp(direction="sendonly"))
    update = node.hears("UPDATE")
    assert b"a=sendonly" in update.body
    node.answers(invite, 200, body=rtp())  # crosses it, and repeats the first answer
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    node.answers(update, 200, body=rtp(direction="recvonly"))
    assert b"a=recvonly" in phone.gets(200).body
    access = scene.updated().legs[0]
    assert access is not None
    assert not access.sends


def test_an_update_of_the_called_side_in_the_early_dialog() -> None:
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, 183, RELIABLE, fitting(invite))
    node.gets(183)
    phone.within("UPDATE", body=srtp(direction="sendonly"))
    update = node.hears("UPDATE")
    node.answers(update, 200, body=rtp(direction="recvonly"))
    assert phone.gets(200).cseq.method == "UPDATE"


def test_a_flood_of_forks_is_bounded() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    for number in range(20):
        node.answers(invite, 180, tag=f"fork{number}")
    assert len(scene.sent) == 16
    scene.sent.clear()
    node.answers(invite, 200, body=rtp(), tag="late")
    node.hears("ACK")
    phone.gets(200)
    assert scene.border.calls.counts()["dialogs"] == 2
