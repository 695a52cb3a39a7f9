"""Requests inside a call: each asks the other leg, and the answer comes back (RFC 3261 12, 14; RFC 3311)."""

from __future__ import annotations

import pytest

from tests.border.scene import Scene, answered, calling, established, fitting, rtp, srtp


@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "NOTIFY", "OPTIONS", "SUBSCRIBE", "PUBLISH", "X-FEATURE"])
def test_every_method_passes_with_its_body_and_back(method: str) -> None:
    scene = Scene()
    phone, node = established(scene)
    for first, last in ((phone, node), (node, phone)):
        headers = [("Event", "kpml"), ("Content-Disposition", "render")]
        first.within(method, body=b"<xml/>", content_type="application/kpml-request+xml", headers=headers)
        heard = last.hears(method)
        assert heard.body == b"<xml/>"
        assert heard.headers.get("Content-Type") == "application/kpml-request+xml"
        assert heard.headers.get("Event") == "kpml"
        assert heard.max_forwards == 69
        last.answers(heard, 202, [("Content-Type", "text/plain")], raw=b"ok")
        answer = first.gets(202)
        assert (answer.body, answer.headers.get("Content-Type")) == (b"ok", "text/plain")
        assert answer.cseq.method == method


def test_failures_of_any_kind_come_back_and_end_nothing() -> None:
    scene = Scene()
    phone, node = established(scene)
    for status in (403, 405, 415, 500, 501, 603):
        phone.within("INFO", body=b"x", content_type="text/plain")
        node.answers(node.hears("INFO"), status)
        phone.gets(status)
    assert len(scene.border.calls) == 1


@pytest.mark.parametrize("status", [401, 407])
def test_a_phone_s_challenge_never_reaches_the_core(status: int) -> None:
    scene = Scene()
    phone, node = established(scene)
    node.within("INFO")
    phone.answers(phone.hears("INFO"), status, [("WWW-Authenticate", 'Digest realm="evil", nonce="n"')])
    assert "evil" not in node.gets(403).serialise().decode()
    assert phone.quiet()
    node.within("INVITE", body=rtp())
    node.gets(100)
    phone.answers(phone.hears("INVITE"), status, [("WWW-Authenticate", 'Digest realm="evil", nonce="n"')])
    phone.hears("ACK")
    node.gets(403)
    assert phone.quiet()
    assert len(scene.border.calls) == 1


def test_a_challenge_of_the_core_and_the_digest_pass() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("INFO")
    node.answers(node.hears("INFO"), 407, [("Proxy-Authenticate", 'Digest realm="r", nonce="n"')])
    assert phone.gets(407).headers.get("Proxy-Authenticate") == 'Digest realm="r", nonce="n"'
    phone.within("INFO", headers=[("Proxy-Authorization", "Digest mine")])
    assert node.hears("INFO").headers.get("Proxy-Authorization") == "Digest mine"


class TestReinvites:
    def test_one_that_is_refused_leaves_the_session_as_it_was(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        before = scene.updated()
        phone.within("INVITE", body=srtp(port=22000))
        phone.gets(100)
        node.answers(node.hears("INVITE"), 488)
        node.hears("ACK")
        phone.gets(488)
        phone.acks_failure()
        assert scene.updated() is before
        assert scene.border.calls.counts()["invites"] == 0
        node.within("INVITE", body=rtp(direction="sendonly"))
        node.gets(100)
        invite = phone.hears("INVITE")
        phone.answers(invite, 200, body=fitting(invite, "recvonly"))
        phone.hears("ACK")
        node.gets(200)
        assert not scene.core.sends

    def test_one_that_cannot_be_taken_is_answered_by_us(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        before = scene.updated()
        for body, status in ((rtp(), 488), (b"v=0\r\nbad\r\n", 400), (srtp(formats="18"), 488)):
            phone.within("INVITE", body=body)
            phone.gets(100)
            assert phone.gets(status).headers.get("Warning")
            phone.acks_failure()
        assert node.quiet()
        assert scene.updated() is before
        assert len(scene.border.calls) == 1
        assert scene.border.calls.counts()["invites"] == 0

    def test_a_bad_answer_is_acknowledged_and_refused(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        node.answers(node.hears("INVITE"), 200, body=b"v=0\r\nbad\r\n")
        node.hears("ACK")
        phone.gets(502)
        assert len(scene.border.calls) == 1

    def test_no_answer_in_the_200_is_a_bad_answer(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        node.answers(node.hears("INVITE"), 200)
        node.hears("ACK")
        phone.gets(502)

    def test_provisional_answers_pass(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        invite = node.hears("INVITE")
        node.answers(invite, 100)
        node.answers(invite, 180)
        assert phone.gets(180).body == b""
        node.answers(invite, 183, body=rtp())
        assert phone.gets(183).body == b""

    def test_the_200_again_gets_the_ack_again(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        invite = node.hears("INVITE")
        node.answers(invite, 200, body=rtp())
        first = node.hears("ACK")
        phone.gets(200)
        node.answers(invite, 200, body=rtp())
        assert node.hears("ACK").cseq == first.cseq
        assert phone.quiet()

    def test_a_call_that_ends_meanwhile_answers_it_and_acknowledges_the_late_200(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        invite = node.hears("INVITE")
        node.within("BYE")
        node.gets(200)
        answer = phone.gets(487)
        assert answer.cseq.method == "INVITE"
        phone.answers(phone.hears("BYE"), 200)
        node.answers(invite, 200, body=rtp())
        assert node.hears("ACK").cseq.number == invite.cseq.number
        phone.acks_failure()
        assert scene.leftovers() == {}

    def test_a_call_that_ends_cancels_one_that_rings(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        node.answers(node.hears("INVITE"), 180)
        phone.gets(180)
        node.within("BYE")
        node.gets(200)
        node.answers(node.hears("CANCEL"), 481)
        phone.gets(487)
        phone.acks_failure()
        phone.answers(phone.hears("BYE"), 200)
        assert scene.leftovers() == {}

    def test_other_requests_on_their_way_are_answered_too(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INFO")
        info = node.hears("INFO")
        node.within("BYE")
        node.gets(200)
        assert phone.gets(487).cseq.method == "INFO"
        phone.answers(phone.hears("BYE"), 200)
        node.answers(info, 200)
        assert scene.quiet()
        assert scene.leftovers() == {}

    def test_nobody_answers_one(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        node.hears("INVITE")
        scene.wait(33)
        phone.gets(503)
        phone.hears("BYE")
        assert scene.event("call.ended").cause == "timeout"


class TestGlare:
    def test_both_sides_at_once(self) -> None:
        """RFC 3261 14.2: the second one gets 491, the first goes on."""
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        invite = node.hears("INVITE")
        node.within("INVITE", body=rtp())
        node.gets(491)
        node.acks_failure()
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)

    def test_the_same_side_twice(self) -> None:
        """RFC 3261 14.2: 500 with Retry-After."""
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        invite = node.hears("INVITE")
        phone.within("INVITE", body=srtp())
        assert phone.gets(500).headers.get("Retry-After") == "5"
        node.within("INVITE", body=rtp())
        node.gets(491)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)

    def test_before_the_call_is_up(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        node.within("INVITE", body=rtp())
        node.gets(491)

    def test_an_update_s_offer_crosses_a_reinvite_s(self) -> None:
        """RFC 3311 5.2: 491 from the other side, 500 with Retry-After from the same."""
        scene = Scene()
        phone, node = established(scene)
        phone.within("INVITE", body=srtp())
        phone.gets(100)
        invite = node.hears("INVITE")
        node.within("UPDATE", body=rtp())
        node.gets(491)
        phone.within("UPDATE", body=srtp())
        assert phone.gets(500).headers.get("Retry-After") == "5"
        phone.within("UPDATE")
        node.answers(node.hears("UPDATE"), 200)
        phone.gets(200)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)

    def test_updates_cross(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("UPDATE", body=srtp())
        update = node.hears("UPDATE")
        node.within("UPDATE", body=rtp())
        node.gets(491)
        node.answers(update, 491)
        phone.gets(491)
        node.within("UPDATE", body=rtp())
        phone.hears("UPDATE")


class TestUpdate:
    @pytest.mark.parametrize("made", [established, answered])
    def test_it_moves_the_media_like_a_reinvite(self, made: object) -> None:
        scene = Scene()
        phone, node = made(scene)  # type: ignore[operator]
        node.within("UPDATE", body=rtp(port=34000, direction="sendonly"))
        update = phone.hears("UPDATE")
        assert b"a=sendonly" in update.body
        assert update.contacts[0].uri.host == "192.0.2.1"
        phone.answers(update, 200, body=fitting(update, "recvonly"))
        answer = node.gets(200)
        assert b"a=recvonly" in answer.body
        assert answer.contacts[0].uri.host == "198.51.100.1"


class TestOrderAndOwnership:
    def test_a_cseq_that_is_not_above_the_last_is_refused(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        phone.within("INFO", cseq=50)
        node.answers(node.hears("INFO"), 200)
        phone.gets(200)
        phone.within("INFO", cseq=49)
        phone.gets(500)
        assert node.quiet()

    def test_each_leg_counts_for_itself(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        numbers = []
        for cseq in (50, 70, 71):
            phone.within("INFO", cseq=cseq)
            heard = node.hears("INFO")
            numbers.append(heard.cseq.number)
            node.answers(heard, 200)
            phone.gets(200)
        assert numbers == [102, 103, 104]

    @pytest.mark.parametrize("method", ["BYE", "INVITE", "REFER", "INFO"])
    def test_another_phone_has_no_part_in_the_dialog(self, method: str) -> None:
        scene = Scene()
        phone, _ = established(scene)
        thief = scene.registered("1002", "SEP001122334466", "203.0.113.8")
        thief.invite, thief.answer = phone.invite, phone.answer
        thief.within(method)
        thief.gets(481)
        assert scene.quiet()
        assert len(scene.border.calls) == 1
        thief.acks()
        assert scene.quiet()

    def test_nor_has_the_core_in_a_phone_s_own_dialog(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        node.invite, node.answer = phone.invite, phone.answer
        node.within("BYE")
        node.gets(481)

    def test_a_dialog_that_never_was(self) -> None:
        scene = Scene()
        phone = scene.registered()
        for method in ("BYE", "INVITE", "INFO"):
            phone.out(method, "sip:x@192.0.2.1", to="<sip:x@192.0.2.1>;tag=none", call_id="unknown")
            phone.gets(481)
        phone.out("ACK", "sip:x@192.0.2.1", to="<sip:x@192.0.2.1>;tag=none", call_id="unknown")
        assert scene.quiet()

    def test_nothing_passes_while_the_called_side_is_unknown(self) -> None:
        scene = Scene(auto_media=False)
        phone = scene.registered()
        phone.calls("2001", srtp())
        phone.gets(100)
        call = next(iter(scene.border.calls))
        tag = call.caller.dialog.local_tag if call.caller.dialog else ""
        assert phone.invite is not None
        own = phone.invite.from_tag or ""
        phone.out(
            "INFO", "sip:x@192.0.2.1", to=f"<sip:2001@192.0.2.1>;tag={tag}", call_id=call.request.call_id, tag=own
        )
        phone.gets(481)

    def test_a_route_of_the_core_s_proxies_is_kept_both_ways(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        routes = [("Record-Route", "<sip:198.51.100.12;lr>"), ("Record-Route", "<sip:198.51.100.13;lr>")]
        node.answers(invite, 200, routes, rtp())
        ack = node.hears("ACK")
        assert ack.headers.all("Route") == ["<sip:198.51.100.13;lr>", "<sip:198.51.100.12;lr>"]
        assert "Record-Route" not in phone.gets(200).headers
