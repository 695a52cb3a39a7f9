"""A call whose engine is lost goes on with another, once whoever hears us on SRTP has new keys of ours."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.sdes import read_lines
from cubeproxy.protocols.sdp import SessionDescription
from tests.border.renewing import Start, accepted, asking, key_in, moved, picks_up, told
from tests.border.scene import NODE_1, Scene, answered, calling, established, fitting, media_of, rtp, sample, srtp

OTHER_KEY = "HRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"


class TestThePhoneIsTold:
    def test_of_a_key_that_no_engine_had_and_of_nothing_else(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        before = scene.access
        assert phone.answer is not None
        moved(scene)
        invite = phone.hears("INVITE")
        assert scene.quiet(), "the core hears nothing"
        assert key_in(invite) != before.send_key
        new, old = SessionDescription.parse(invite.body), SessionDescription.parse(phone.answer.body)
        assert int(new.origin.version) == int(old.origin.version) + 1
        assert new.origin.session_id == old.origin.session_id
        ours, before_it = ([row for row in each.media[0].lines() if "crypto" not in row] for each in (new, old))
        assert ours == before_it

    def test_and_the_engine_has_it_at_once_to_be_used_after_the_answer(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        before, core = scene.access, scene.core
        moved(scene)
        invite = phone.hears("INVITE")
        assert scene.access.send_key == key_in(invite)
        assert scene.access.receive_key == before.receive_key, "what the phone says is heard all the while"
        assert (scene.access.sends, scene.access.receives) == (False, True)
        assert scene.core == core
        accepted(phone, invite)
        assert scene.access.sends
        assert scene.access.send_key == key_in(invite)

    @pytest.mark.parametrize("changes", [False, True], ids=["keeps its key", "changes it"])
    @pytest.mark.parametrize("start", [established, answered])
    def test_and_may_keep_its_own_or_change_it(self, start: Start, changes: bool) -> None:
        scene = Scene()
        phone, node = start(scene)
        leg = 0 if start is established else 1
        before = scene.updated().legs[leg]
        assert before is not None
        moved(scene)
        invite = phone.hears("INVITE")
        answer = srtp(key=OTHER_KEY) if changes else srtp()
        phone.answers(invite, 200, body=answer)
        phone.hears("ACK")
        after = scene.updated().legs[leg]
        assert after is not None
        assert (after.receive_key != before.receive_key) is changes
        assert after.send_key == key_in(invite) != before.send_key
        assert after.sends
        assert after.receives
        node.within("BYE")
        node.gets(200)
        phone.answers(phone.hears("BYE"), 200)
        assert scene.released()
        assert scene.leftovers() == {}

    def test_of_the_key_of_the_suite_in_use_alone(self) -> None:
        """The first offer on a called phone's leg had a line for each suite."""
        scene = Scene()
        phone, _ = answered(scene)
        moved(scene)
        lines = read_lines(media_of(phone.hears("INVITE")).crypto)[0]
        assert [line.suite.value for line in lines if line.suite] == ["AES_CM_128_HMAC_SHA1_80"]

    def test_while_it_is_on_hold(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp(direction="sendonly"))
        phone.gets(100)
        picks_up(node, phone, rtp(direction="recvonly"))
        moved(scene)
        invite = told(phone, srtp(direction="sendonly"))
        assert media_of(invite).direction().attribute == "recvonly"
        assert (scene.access.sends, scene.access.receives) == (False, True)

    def test_its_media_address_may_move_and_its_directions_shrink(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        told(phone, srtp(port=22222, direction="sendonly", formats="0"))
        assert scene.access.remote == ("203.0.113.7", 22222)
        assert (scene.access.sends, scene.access.receives) == (False, True)
        assert scene.access.dtmf_payload_type is None

    def test_with_the_streams_that_were_refused_in_their_place(self) -> None:
        scene = Scene()
        phone, node = scene.registered(), scene.node()
        phone.calls("2001", srtp().replace(b"m=audio", b"m=video 40000 RTP/SAVP 97\r\nm=audio"))
        phone.gets(100)
        picks_up(node, phone, rtp())
        moved(scene)
        streams = SessionDescription.parse(phone.hears("INVITE").body).media
        assert [(each.kind, bool(each.port)) for each in streams] == [("video", False), ("audio", True)]

    @pytest.mark.parametrize(
        ("refresher", "ours"), [("uac", "600;refresher=uas"), ("uas", "900;refresher=uac")], ids=["caller", "called"]
    )
    def test_and_keeps_its_session_timer(self, refresher: str, ours: str) -> None:
        """RFC 4028 7.4: a refresh without the header would switch the timer off on this leg alone."""
        scene = Scene()
        phone, node, invite = calling(scene, headers=[("Session-Expires", "1800"), ("Supported", "timer")])
        node.answers(invite, 200, [("Session-Expires", f"900;refresher={refresher}")], rtp())
        node.hears("ACK")
        phone.gets(200)
        phone.acks()
        scene.wait(300)
        moved(scene)
        heard = phone.hears("INVITE")
        assert heard.headers.get("Session-Expires") == ours, "who refreshes does so before the other end gives up"
        assert "timer" in (heard.headers.get("Supported") or "")

    def test_of_no_session_timer_where_there_was_none(self) -> None:
        _, _, _, invite = asking()
        assert invite.headers.get("Session-Expires") is None

    def test_its_200_again_gets_the_ack_again(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        invite = told(phone)
        phone.answers(invite, 200, body=fitting(invite))
        assert phone.hears("ACK").cseq.number == invite.cseq.number
        assert scene.quiet()

    def test_of_another_one_when_the_second_engine_is_lost_too(self) -> None:
        scene, phone, _, first = asking()
        moved(scene)
        assert phone.quiet(), "one INVITE at a time"
        assert scene.access.send_key != key_in(first), "but the third engine does not get the key of the second"
        accepted(phone, first)
        assert not scene.access.sends
        second = told(phone)
        assert scene.access.sends
        assert scene.access.send_key == key_in(second) != key_in(first)
        moved(scene)
        third = told(phone)
        assert len({key_in(invite).master for invite in (first, second, third)}) == 3


def test_both_legs_one_after_the_other_where_both_are_srtp() -> None:
    config = sample(
        replace={
            " dtmf-relay rtp-nte\n codec g711ulaw\n no vad\n!\ndial-peer voice 201":
            " dtmf-relay rtp-nte\n srtp\n codec g711ulaw\n no vad\n!\ndial-peer voice 201"
        }
    )  # fmt: skip
    scene = Scene(config)
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", srtp())
    phone.gets(100)
    invite = node.hears("INVITE")
    node.answers(invite, 200, body=fitting(invite).replace(b"203.0.113.7", NODE_1[0].encode()))
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    moved(scene)
    assert (scene.access.sends, scene.core.sends) == (False, False)
    assert node.quiet()
    told(phone)
    assert (scene.access.sends, scene.core.sends) == (True, False)
    invite = told(node, srtp(NODE_1[0]))
    assert scene.core.send_key == key_in(invite)
    assert (scene.access.sends, scene.core.sends) == (True, True)
    assert scene.quiet()


def test_a_call_without_srtp_has_nobody_to_tell() -> None:
    scene = Scene(sample(replace={" dtmf-relay rtp-nte\n srtp\n": " dtmf-relay rtp-nte\n"}))
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", rtp("203.0.113.7"))
    phone.gets(100)
    picks_up(node, phone, rtp())
    before = scene.updated()
    moved(scene)
    assert scene.updated() is not before, "the new engine has to be told"
    assert scene.updated().legs == before.legs
    assert scene.quiet()
