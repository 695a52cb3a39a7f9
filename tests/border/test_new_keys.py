"""A call whose engine is lost goes on with another, once whoever hears us on SRTP has new keys of ours."""

from __future__ import annotations

import pytest

from cubeproxy.border.effects import Drain
from cubeproxy.border.renewal import WITHIN
from cubeproxy.protocols.sdes import read_lines
from cubeproxy.protocols.sdp import SessionDescription
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import MediaLost, MediaMoved
from tests.border.scene import (
    NODE_1,
    Peer,
    Scene,
    answered,
    called,
    calling,
    established,
    fitting,
    media_of,
    rtp,
    sample,
    srtp,
)

OTHER_KEY = "HRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"


def moved(scene: Scene, session: int = 1) -> None:
    scene.feed(MediaMoved(session, "DSP farm lost: reset by peer"))


def key_in(message: Request) -> MasterKey:
    (line,) = read_lines(media_of(message).crypto)[0]
    return line.key


def told(phone: Peer, body: bytes = b"") -> Request:
    """The phone hears of a new key and answers."""
    invite = phone.hears("INVITE")
    phone.answers(invite, 200, body=body or fitting(invite))
    phone.hears("ACK")
    return invite


def ended(scene: Scene, phone: Peer, node: Peer, cause: str, q850: int) -> None:
    for peer in (phone, node):
        bye = peer.hears("BYE")
        assert bye.headers.get("Reason") == f"Q.850;cause={q850}"
        peer.answers(bye, 200)
    assert scene.event("call.ended").cause == cause
    assert scene.released()
    nothing_left(scene)


def nothing_left(scene: Scene) -> None:
    """Not even an alarm that would find nothing to do."""
    assert scene.border.user.counts()["user alarms"] == len(scene.border.registrations.bindings)
    assert scene.leftovers() == {}


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
        phone.answers(invite, 200, body=fitting(invite))
        phone.hears("ACK")
        assert scene.access.sends
        assert scene.access.send_key == key_in(invite)

    @pytest.mark.parametrize("changes", [False, True], ids=["keeps its key", "changes it"])
    @pytest.mark.parametrize("start", [established, answered])
    def test_and_may_keep_its_own_or_change_it(self, start: object, changes: bool) -> None:
        scene = Scene()
        phone, node = start(scene)  # type: ignore[operator]
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
        node.answers(node.hears("INVITE"), 200, body=rtp(direction="recvonly"))
        node.hears("ACK")
        phone.gets(200)
        phone.acks()
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
        node.answers(node.hears("INVITE"), 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        phone.acks()
        moved(scene)
        streams = SessionDescription.parse(phone.hears("INVITE").body).media
        assert [(each.kind, bool(each.port)) for each in streams] == [("video", False), ("audio", True)]

    def test_and_keeps_its_session_timer(self) -> None:
        """RFC 4028 7.4: a refresh without the header would switch the timer off on this leg alone."""
        for refresher, ours in (("uac", "600;refresher=uas"), ("uas", "900;refresher=uac")):
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
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        assert phone.hears("INVITE").headers.get("Session-Expires") is None

    def test_its_200_again_gets_the_ack_again(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        invite = told(phone)
        phone.answers(invite, 200, body=fitting(invite))
        assert phone.hears("ACK").cseq.number == invite.cseq.number
        assert scene.quiet()

    def test_of_another_one_when_the_second_engine_is_lost_too(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        first = phone.hears("INVITE")
        moved(scene)
        assert phone.quiet(), "one INVITE at a time"
        assert scene.access.send_key != key_in(first), "but the third engine does not get the key of the second"
        phone.answers(first, 200, body=fitting(first))
        phone.hears("ACK")
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
    node.answers(node.hears("INVITE"), 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    before = scene.updated()
    moved(scene)
    assert scene.updated() is not before, "the new engine has to be told"
    assert scene.updated().legs == before.legs
    assert scene.quiet()


class TestCrossing:
    def test_while_ours_is_open_others_wait(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        ours = phone.hears("INVITE")
        phone.within("INVITE", body=srtp(direction="sendonly"))
        phone.gets(491)
        phone.acks_failure()
        node.within("INVITE", body=rtp(direction="sendonly"))
        node.gets(491)
        node.acks_failure()
        node.within("UPDATE", body=rtp(direction="sendonly"))
        node.gets(491)
        phone.answers(ours, 200, body=fitting(ours))
        phone.hears("ACK")
        node.within("UPDATE", body=rtp(direction="sendonly"))
        assert phone.hears("UPDATE").body

    def test_491_is_followed_by_another_try(self) -> None:
        """RFC 3261 14.1: the phone made the Call-ID, so we wait up to two seconds."""
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        first = phone.hears("INVITE")
        phone.answers(first, 491)
        phone.hears("ACK")
        scene.wait(2.01)
        second = told(phone)
        assert key_in(second) == key_in(first)
        assert second.cseq.number == first.cseq.number + 1
        assert scene.access.sends

    def test_491_on_a_leg_that_we_opened_takes_longer(self) -> None:
        scene = Scene()
        phone, _ = answered(scene)
        moved(scene)
        phone.answers(phone.hears("INVITE"), 491)
        phone.hears("ACK")
        scene.wait(2.0)
        assert phone.quiet()
        scene.wait(2.1)
        told(phone)

    def test_an_offer_that_passes_meanwhile_takes_the_new_key_with_it(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        first = phone.hears("INVITE")
        phone.answers(first, 491)
        phone.hears("ACK")
        phone.within("INVITE", body=srtp(direction="sendonly"))
        phone.gets(100)
        node.answers(node.hears("INVITE"), 200, body=rtp(direction="recvonly"))
        node.hears("ACK")
        answer = phone.gets(200)
        (line,) = read_lines(media_of(answer).crypto)[0]
        assert line.key == key_in(first) == scene.access.send_key
        phone.acks()
        scene.wait(5)
        assert scene.quiet()
        assert scene.border.user.counts()["user alarms"] == len(scene.border.registrations.bindings)

    @pytest.mark.parametrize("who", ["phone", "core"])
    def test_an_offer_that_was_open_is_waited_for(self, who: str) -> None:
        scene = Scene()
        phone, node = established(scene)
        first, last, offer = (phone, node, srtp()) if who == "phone" else (node, phone, rtp())
        first.within("INVITE", body=offer)
        first.gets(100)
        theirs = last.hears("INVITE")
        moved(scene)
        assert scene.quiet()
        assert not scene.access.sends
        last.answers(theirs, 200, body=fitting(theirs))
        last.hears("ACK")
        first.gets(200)
        assert not scene.access.sends, "what passed had the old key in it"
        scene.wait(0.4)
        assert scene.quiet(), "their ACK is awaited"
        first.acks()
        scene.wait(0.2)
        told(phone)
        assert scene.access.sends

    def test_a_hang_up_of_the_called_side_before_the_ack_lets_the_callers_bye_wait(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        moved(scene)
        node.within("BYE")
        node.gets(200)
        assert phone.quiet(), "a BYE must wait for the ACK (RFC 3261 15)"
        phone.acks()
        phone.answers(phone.hears("BYE"), 200)
        nothing_left(scene)

    def test_a_call_that_is_not_acknowledged_yet(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        moved(scene)
        scene.wait(0.3)
        assert scene.quiet()
        phone.acks()
        scene.wait(0.2)
        told(phone)
        assert scene.access.sends


class TestWhatEndsTheCall:
    def test_a_phone_that_refuses(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        phone.answers(phone.hears("INVITE"), 488)
        phone.hears("ACK")
        ended(scene, phone, node, "no-new-keys", 41)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"v=0\r\nbad\r\n",
            rtp("203.0.113.7"),
            srtp(port=0),
            srtp(formats="8").replace(b"rtpmap:0 PCMU", b"rtpmap:8 PCMA"),
            srtp().replace(b"crypto:1", b"crypto:7"),
        ],
        ids=["none", "broken", "clear", "refused", "another codec", "another line"],
    )
    def test_an_answer_that_cannot_be_taken(self, body: bytes) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        phone.answers(phone.hears("INVITE"), 200, body=body)
        phone.hears("ACK")
        ended(scene, phone, node, "no-new-keys", 41)

    def test_a_phone_that_says_nothing(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        invite = phone.hears("INVITE")
        phone.answers(invite, 100)
        scene.wait(WITHIN + 0.1)
        phone.answers(phone.hears("CANCEL"), 200)
        phone.answers(invite, 487)
        phone.hears("BYE")
        node.hears("BYE")
        assert scene.event("call.ended").cause == "no-new-keys"

    def test_one_that_crosses_us_for_ever(self) -> None:
        scene = Scene()
        phone, node = answered(scene)
        moved(scene)
        for _ in range(10):
            if isinstance(scene.sent[0].message, Request) and scene.sent[0].message.method == "BYE":
                break
            phone.answers(phone.hears("INVITE"), 491)
            phone.hears("ACK")
            while not scene.sent:
                scene.wait(0.1)
        ended(scene, phone, node, "no-new-keys", 41)

    @pytest.mark.parametrize("status", [481, 408])
    def test_a_phone_that_has_forgotten_the_call(self, status: int) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        phone.answers(phone.hears("INVITE"), status)
        phone.hears("ACK")
        node.answers(node.hears("BYE"), 200)
        assert phone.quiet()
        assert scene.event("call.ended").cause == str(status)
        nothing_left(scene)

    def test_the_loss_of_the_second_engine_while_it_is_asked(self) -> None:
        """No farm has room: resources unavailable."""
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        invite = phone.hears("INVITE")
        phone.answers(invite, 100)
        scene.feed(MediaLost(1, "DSP farm lost: reset by peer", "pool-full"))
        phone.answers(phone.hears("CANCEL"), 200)
        phone.answers(invite, 487)
        phone.hears("BYE")
        assert node.hears("BYE").headers.get("Reason") == "Q.850;cause=47"
        assert scene.event("call.ended").cause == "pool-full"

    def test_a_preview_of_the_old_key(self) -> None:
        """While it rings the caller may have heard our key already; a final answer cannot take it back."""
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 183, body=rtp())
        phone.gets(183)
        moved(scene)
        phone.gets(500)
        node.answers(node.hears("CANCEL"), 200)
        assert len(scene.border.calls) == 1, "the final answer of the called side is awaited"
        node.answers(invite, 487)
        phone.acks_failure()
        assert scene.leftovers() == {}

    @pytest.mark.parametrize("then", ["rings", "draining", "nothing"])
    def test_nobody_is_told_of_anything_once_the_caller_has_given_up(self, then: str) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 183, body=rtp())
        phone.gets(183)
        phone.cancels()
        phone.gets(200)
        phone.gets(487)
        phone.acks_failure()
        node.answers(node.hears("CANCEL"), 200)
        if then == "rings":
            node.answers(invite, 180)
        elif then == "draining":
            scene.feed(Drain(0.0))
        scene.wait(WITHIN + 1)
        node.answers(invite, 487)
        node.hears("ACK")
        nothing_left(scene)


class TestBetweenTheTwo:
    @pytest.mark.parametrize("who", ["phone", "core"])
    def test_a_hang_up_cancels_ours(self, who: str) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        invite = phone.hears("INVITE")
        phone.answers(invite, 100)
        first, last = (phone, node) if who == "phone" else (node, phone)
        first.within("BYE")
        first.gets(200)
        phone.answers(phone.hears("CANCEL"), 200)
        phone.answers(invite, 487)
        while not last.quiet():
            if isinstance(heard := scene.next(last.host).message, Request) and heard.method == "BYE":
                last.answers(heard, 200)
        while not phone.quiet():
            phone.hears("ACK")
        assert scene.leftovers() == {}

    def test_an_answer_that_overtook_our_cancel_is_acknowledged(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        invite = phone.hears("INVITE")
        phone.answers(invite, 100)
        node.within("BYE")
        node.gets(200)
        phone.answers(invite, 200, body=fitting(invite))
        heard = [scene.next(phone.host).message for _ in range(3)]
        methods = [each.method for each in heard if isinstance(each, Request)]
        assert sorted(methods) == ["ACK", "BYE", "CANCEL"]

    def test_a_phone_whose_connection_broke_is_told_on_the_next_one(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        moved(scene)
        phone.hears("INVITE")
        scene.close(phone.flow)
        scene.wait(1.1)
        again = scene.phone()
        again.register()
        node = scene.node()
        asked = node.hears("REGISTER")
        node.answers(asked, 200, [("Contact", asked.headers.get("Contact") or "")])
        again.gets(200)
        scene.wait(0.2)
        told(again)
        assert scene.access.sends

    def test_one_that_does_not_come_back_ends_the_call(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        moved(scene)
        phone.hears("INVITE")
        scene.close(phone.flow)
        scene.wait(WITHIN + 0.1)
        assert node.hears("BYE").headers.get("Reason") == "Q.850;cause=41"

    def test_what_comes_for_a_session_of_nobody_is_nothing(self) -> None:
        scene = Scene()
        moved(scene, 99)
        assert scene.quiet()


def test_the_loss_of_an_engine_without_another_ends_the_call_for_want_of_resources() -> None:
    scene = Scene()
    phone, node = established(scene)
    scene.feed(MediaLost(1, "DSP farm lost: reset by peer", "pool-full"))
    ended(scene, phone, node, "pool-full", 47)


def test_a_called_phone_that_rings_is_not_told() -> None:
    scene = Scene()
    phone, node, invite = called(scene)
    phone.answers(invite, 180)
    node.gets(180)
    moved(scene)
    node.gets(500)
    assert phone.hears("CANCEL").cseq.number == invite.cseq.number
