"""How calls end: by either side, by silence, by us; and that both sides always hear of it."""

from __future__ import annotations

import pytest

from cubeproxy.border.effects import Drain, Drained
from cubeproxy.protocols.values import MediaLost
from tests.border.scene import Scene, answered, called, calling, established, fitting, rtp, sample, srtp


def test_a_bye_of_either_side_passes_with_its_reason() -> None:
    for from_phone in (True, False):
        for make in (established, answered):
            scene = Scene()
            phone, node = make(scene)
            first, last = (phone, node) if from_phone else (node, phone)
            first.within("BYE", headers=[("Reason", 'Q.850;cause=16;text="done"')])
            first.gets(200)
            bye = last.hears("BYE")
            assert bye.headers.get("Reason") == 'Q.850;cause=16;text="done"'
            last.answers(bye, 200)
            assert scene.event("call.ended").cause == "bye"
            assert scene.released()
            assert scene.leftovers() == {}


def test_a_bye_that_nobody_answers_ends_the_call_all_the_same() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("BYE")
    phone.gets(200)
    node.hears("BYE")
    assert len(scene.border.calls) == 0
    assert scene.leftovers() == {}


def test_byes_cross() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("BYE")
    phone.gets(200)
    node.hears("BYE")
    node.within("BYE")
    node.gets(481)


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_to_our_bye_is_never_answered(status: int) -> None:
    scene = Scene()
    phone, node = established(scene)
    node.within("BYE")
    node.gets(200)
    phone.answers(phone.hears("BYE"), status, [("WWW-Authenticate", 'Digest realm="evil", nonce="n"')])
    assert scene.quiet()
    assert scene.leftovers() == {}


def test_the_caller_never_acknowledges() -> None:
    scene = Scene()
    phone, node, invite = calling(scene)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    scene.wait(33)
    bye = node.hears("BYE")
    node.answers(bye, 200)
    assert {phone.gets(200).cseq.method for _ in range(2)} == {"INVITE"}  # sent again while no ACK came
    scene.sent = [sent for sent in scene.sent if getattr(sent.message, "method", "") == "BYE"]
    phone.answers(phone.hears("BYE"), 200)
    assert scene.event("call.ended").cause == "no-ack"
    assert scene.released()
    assert scene.leftovers() == {}


def test_a_reinvite_is_never_acknowledged() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("INVITE", body=srtp())
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    node.hears("ACK")
    scene.wait(33)
    node.hears("BYE")
    scene.sent = [sent for sent in scene.sent if getattr(sent.message, "method", "") == "BYE"]
    phone.hears("BYE")
    assert scene.event("call.ended").cause == "no-ack"


def test_a_failed_reinvite_that_is_not_acknowledged_ends_nothing() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("INVITE", body=srtp())
    phone.gets(100)
    node.answers(node.hears("INVITE"), 488)
    scene.wait(100)
    assert len(scene.border.calls) == 1


class TestBeforeTheAck:
    """RFC 3261 15: whoever answered must not say BYE before the ACK came or cannot come any more."""

    def test_the_called_side_leaves_at_once(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        node.within("BYE")
        node.gets(200)
        assert scene.released()
        assert phone.quiet()
        phone.acks()
        phone.answers(phone.hears("BYE"), 200)
        assert scene.quiet()
        assert scene.event("call.ended").cause == "bye"
        assert scene.leftovers() == {}

    def test_the_called_side_leaves_and_the_ack_never_comes(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        node.within("BYE")
        node.gets(200)
        scene.sent.clear()
        scene.wait(33)
        scene.sent = [sent for sent in scene.sent if getattr(sent.message, "method", "") == "BYE"]
        phone.hears("BYE")
        assert scene.leftovers() == {}

    def test_both_leave_before_the_ack(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        node.within("BYE")
        node.gets(200)
        phone.within("BYE")
        phone.gets(200)
        assert scene.quiet()
        assert len(scene.border.calls) == 0

    def test_the_caller_leaves_before_its_ack_arrived(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        phone.within("BYE", headers=[("Reason", "Q.850;cause=16")])
        phone.gets(200)
        bye = node.hears("BYE")
        assert bye.headers.get("Reason") == "Q.850;cause=16"
        node.answers(bye, 200)
        assert len(scene.border.calls) == 0

    @pytest.mark.parametrize("why", ["media", "drain", "gone"])
    def test_we_end_it(self, why: str) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        if why == "media":
            scene.feed(MediaLost(1, "worker gone"))
        elif why == "drain":
            scene.feed(Drain(0.0))
            scene.wait(0.1)
        else:
            phone.within("INFO")
            node.answers(node.hears("INFO"), 481)
            phone.gets(481)
        assert phone.quiet()
        if why != "gone":
            bye = node.hears("BYE")
            node.within("BYE")  # crosses ours
            node.gets(200)
            node.answers(bye, 481)
        assert scene.released()
        assert phone.quiet()
        phone.acks()
        phone.answers(phone.hears("BYE"), 200)
        assert node.quiet()
        assert "call.connected" not in [event.name for event in scene.events]
        assert scene.event("call.ended").cause == {"media": "media-lost", "drain": "draining", "gone": "481"}[why]
        assert scene.leftovers() == {}

    @pytest.mark.parametrize("then", ["ack", "bye", "nothing"])
    @pytest.mark.parametrize("why", ["media", "drain"])
    def test_we_end_it_and_the_called_side_hears_it_once(self, why: str, then: str) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        phone.gets(200)
        if why == "media":
            scene.feed(MediaLost(1, "worker gone"))
        scene.feed(Drain(0.0))
        scene.wait(0.1)
        node.answers(node.hears("BYE"), 200)
        scene.feed(Drain(0.0))
        scene.wait(0.1)
        assert scene.quiet()
        assert len(scene.border.calls) == 1
        if then == "ack":
            phone.acks()
        elif then == "bye":
            phone.within("BYE")
            phone.gets(200)
        else:
            scene.wait(33)
        assert node.quiet()
        assert len(scene.border.calls) == 0
        assert "call.connected" not in [event.name for event in scene.events]


class TestMediaLost:
    def test_in_a_call(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        scene.feed(MediaLost(1, "worker 1 died"))
        for peer in (phone, node):
            bye = peer.hears("BYE")
            assert bye.headers.get("Reason") == "Q.850;cause=41"
            peer.answers(bye, 200)
        assert scene.event("call.ended").cause == "media-lost"
        assert scene.leftovers() == {}

    def test_while_it_rings(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 180)
        phone.gets(180)
        scene.feed(MediaLost(1, "worker 1 died"))
        assert phone.gets(500).headers.get("Warning") == '399 192.0.2.1 "Media engine lost"'
        node.answers(node.hears("CANCEL"), 200)
        assert len(scene.border.calls) == 1
        node.answers(invite, 487)
        scene.feed(MediaLost(1, "worker 1 died"))
        assert len(scene.border.calls) == 0

    def test_of_nobody(self) -> None:
        scene = Scene()
        scene.feed(MediaLost(99, "worker 1 died"))
        assert scene.quiet()


class TestSessionTimer:
    def test_a_session_that_nobody_refreshes_ends_after_its_interval(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene, headers=[("Session-Expires", "1800"), ("Supported", "timer")])
        assert invite.headers.get("Session-Expires") == "1800"
        node.answers(invite, 200, [("Session-Expires", "300;refresher=uas")], rtp())
        node.hears("ACK")
        assert phone.gets(200).headers.get("Session-Expires") == "300;refresher=uas"
        phone.acks()
        scene.wait(300)
        assert scene.quiet()
        scene.wait(6)
        assert phone.hears("BYE").headers.get("Reason") == "Q.850;cause=102"
        node.hears("BYE")
        assert scene.event("call.ended").cause == "session-expired"

    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    def test_a_refresh_starts_it_anew_and_one_without_stops_it(self, method: str) -> None:
        scene = Scene()
        phone, node = established(scene)
        for interval in ("200;refresher=uac", ""):
            phone.within(method, body=srtp())
            if method == "INVITE":
                phone.gets(100)
            headers = [("Session-Expires", interval)] if interval else []
            node.answers(node.hears(method), 200, headers, rtp())
            if method == "INVITE":
                node.hears("ACK")
            phone.gets(200)
            if method == "INVITE":
                phone.acks()
            scene.wait(190)
        scene.wait(1000)
        assert len(scene.border.calls) == 1

    def test_a_session_refreshed_without_a_description(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        node.within("UPDATE")
        phone.answers(phone.hears("UPDATE"), 200, [("Session-Expires", "90")])
        node.gets(200)
        scene.wait(96)
        node.hears("BYE")


class TestPeersThatForgot:
    @pytest.mark.parametrize("status", [408, 481])
    def test_a_side_that_knows_no_such_call_ends_the_other(self, status: int) -> None:
        """A cluster that restarted answers 481 to everything: no zombie stays on the phone's screen."""
        scene = Scene()
        phone, node = established(scene)
        phone.within("INFO", body=b"x", content_type="text/plain")
        node.answers(node.hears("INFO"), status)
        phone.gets(status)
        phone.answers(phone.hears("BYE"), 200)
        assert node.quiet()
        assert scene.event("call.ended").cause == str(status)
        assert scene.leftovers() == {}

    def test_silence_means_the_same(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        node.within("INFO", body=b"x", content_type="text/plain")
        phone.hears("INFO")
        scene.wait(33)
        assert node.gets(408).headers.get("Reason") == "Q.850;cause=102"
        node.answers(node.hears("BYE"), 200)
        assert scene.event("call.ended").cause == "timeout"

    @pytest.mark.parametrize("method", ["REFER", "NOTIFY", "SUBSCRIBE", "PRACK"])
    def test_a_usage_beside_the_call_ends_alone(self, method: str) -> None:
        """RFC 5057 5.1."""
        scene = Scene()
        phone, node = established(scene)
        phone.within(method, headers=[("Event", "refer")])
        node.answers(node.hears(method), 481)
        phone.gets(481)
        assert len(scene.border.calls) == 1

    def test_an_early_dialog_that_is_gone_ends_the_attempt(self) -> None:
        scene = Scene()
        phone, node, invite = called(scene)
        phone.answers(invite, 183, body=fitting(invite))
        node.gets(183)
        phone.within("INFO")
        node.answers(node.hears("INFO"), 481)
        phone.gets(481)
        node.gets(480)
        phone.hears("CANCEL")
        assert len(scene.border.calls) == 1
        phone.answers(invite, 487)
        phone.hears("ACK")
        assert len(scene.border.calls) == 0

    def test_a_connection_that_breaks_with_a_request_on_it_ends_nothing(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        node.within("INFO")
        phone.hears("INFO")
        scene.close(phone.flow)
        node.gets(480)
        assert len(scene.border.calls) == 1


class TestConnections:
    def test_a_phone_that_came_back_is_reached_on_its_new_connection(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        scene.close(phone.flow)
        assert len(scene.border.calls) == 1
        back = scene.registered()
        node.within("BYE")
        node.gets(200)
        back.answers(back.hears("BYE"), 200)

    def test_a_phone_that_came_back_hangs_up_on_its_new_connection(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        scene.close(phone.flow)
        phone.flow = scene.registered().flow
        phone.within("BYE")
        phone.gets(200)
        node.hears("BYE")

    def test_a_call_outlives_the_core_s_connection(self) -> None:
        scene = Scene()
        phone, node = answered(scene)
        scene.close(node.flow)
        phone.within("BYE")
        phone.gets(200)
        sent = scene.next("198.51.100.11")
        assert sent.path is not node.flow


class TestDraining:
    def test_no_new_calls_and_no_sign_of_life(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        scene.feed(Drain(60.0))
        assert scene.event("proxy.draining")
        phone.calls("2002", srtp())
        phone.gets(100)
        answer = phone.gets(503)
        assert answer.headers.get("Retry-After") == "30"
        assert answer.headers.get("Warning") == '399 192.0.2.1 "SIP Service is Shutdown"'
        node.out("OPTIONS", "sip:198.51.100.1")
        node.gets(503)
        assert not any(isinstance(effect, Drained) for effect in scene.effects)

    def test_calls_end_by_themselves(self) -> None:
        scene = Scene()
        phone, _ = established(scene)
        scene.feed(Drain(60.0))
        phone.within("BYE")
        assert sum(isinstance(effect, Drained) for effect in scene.effects) == 1
        scene.wait(100)
        assert sum(isinstance(effect, Drained) for effect in scene.effects) == 1

    def test_the_limit_ends_them(self) -> None:
        scene = Scene()
        phone, node = established(scene)
        scene.feed(Drain(60.0))
        scene.wait(61)
        for peer in (phone, node):
            assert peer.hears("BYE").headers.get("Reason") == "Q.850;cause=41"
        assert any(isinstance(effect, Drained) for effect in scene.effects)

    def test_the_limit_ends_attempts_at_every_stage(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        scene.auto_media = False
        phone.calls("2002", srtp())
        phone.gets(100)
        scene.feed(Drain(1.0))
        scene.wait(2)
        phone.gets(503)
        phone.gets(503)
        scene.feed(Drain(0.0))
        scene.wait(1)
        node.answers(invite, 100)
        node.hears("CANCEL")
        node.answers(invite, 487)
        assert len(scene.border.calls) == 0

    def test_with_no_calls_it_is_over_at_once(self) -> None:
        scene = Scene(sample())
        scene.feed(Drain(60.0))
        assert any(isinstance(effect, Drained) for effect in scene.effects)
