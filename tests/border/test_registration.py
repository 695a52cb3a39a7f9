"""REGISTER end to end: what the core hears, what the phone gets back, and who counts as registered when."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.values import Severity
from tests.border.scene import NODE_2, Peer, Scene, sample, srtp

CHALLENGE = 'Digest realm="ccmsipline", nonce="b7c9", algorithm=MD5'
DIGEST = (
    'Digest username="user1",realm="ccmsipline",uri="sip:192.0.2.1",response="0123456789abcdef0123456789abcdef",'
    'nonce="b7c9",algorithm=MD5'
)


def asked(scene: Scene, node: Peer | None = None) -> tuple[Peer, Request]:
    node = node or scene.node()
    return node, node.hears("REGISTER")


def accept(node: Peer, request: Request, *, expires: str = "") -> None:
    contact = request.headers.get("Contact") or ""
    if expires:
        contact = contact.rsplit(";expires=", 1)[0] + f";expires={expires}"
    node.answers(request, 200, [("Contact", contact)])


def registered(scene: Scene) -> list[str]:
    return sorted(binding.user for binding in scene.border.registrations.bindings if binding.live)


def reachable(scene: Scene, phone: Peer) -> bool:
    """Whether a call reaches the phone; the caller gives up again."""
    node = scene.node()
    node.calls(phone.number)
    node.gets(100)
    invite = phone.hears("INVITE")
    phone.answers(invite, 486)
    phone.hears("ACK")
    node.gets(486)
    return True


def test_a_phone_registers_and_the_core_sees_our_contact_with_its_parameters() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node, request = asked(scene)
    contact = request.contacts[0]
    assert (contact.uri.user, contact.uri.host, contact.uri.port) == ("1001", "198.51.100.1", 5060)
    assert contact.params["+u.sip!devicename.ccm.cisco.com"] == '"SEP001122334455"'
    assert contact.params["+sip.instance"] == '"<urn:uuid:00000000-0000-0000-0000-001122334455>"'
    assert request.uri == "sip:198.51.100.11"
    assert request.to.uri.host == request.from_.uri.host == "198.51.100.11"
    assert request.headers.get("Expires") == "600"
    text = request.serialise().decode()
    assert "192.0.2.1" not in text
    assert "203.0.113.7" not in text

    accept(node, request, expires="300")
    answer = phone.gets(200)
    assert str(answer.contacts[0].uri) == "sip:1001@203.0.113.7:40000;transport=tls"
    assert answer.contacts[0].params["expires"] == answer.headers.get("Expires") == "300"
    assert "198.51.100" not in answer.serialise().decode()
    assert registered(scene) == ["1001"]
    event = scene.event("registration.accepted")
    assert (event.device, event.severity, event.fields["expires"]) == ("SEP001122334455", Severity.INFO, 300)


@pytest.mark.parametrize(
    ("status", "challenge", "answer"),
    [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")],
)
def test_a_challenge_passes_and_the_digest_comes_through_untouched(status: int, challenge: str, answer: str) -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node, first = asked(scene)
    node.answers(first, status, [(challenge, CHALLENGE)])
    assert phone.gets(status).headers.rows(challenge) == [CHALLENGE]
    assert registered(scene) == []

    phone.register(headers=[(answer, DIGEST)])
    node, second = asked(scene)
    assert second.headers.rows(answer) == [DIGEST]
    assert second.call_id == first.call_id
    assert second.cseq.number > first.cseq.number
    accept(node, second)
    phone.gets(200)
    assert registered(scene) == ["1001"]


def test_a_challenge_of_a_refresh_ends_nothing() -> None:
    scene = Scene()
    phone = scene.registered()
    phone.register()
    node, request = asked(scene)
    node.answers(request, 401, [("WWW-Authenticate", CHALLENGE)])
    phone.gets(401)
    assert reachable(scene, phone)
    scene.close(phone.flow)
    again = scene.phone()
    again.register()
    node, request = asked(scene)
    node.answers(request, 401, [("WWW-Authenticate", CHALLENGE)])
    again.gets(401)
    assert registered(scene) == ["1001"]
    assert [event.name for event in scene.events].count("registration.accepted") == 1
    again.register()
    node, request = asked(scene)
    accept(node, request)
    again.gets(200)
    assert [event.name for event in scene.events].count("registration.accepted") == 2
    scene.wait(601)
    assert registered(scene) == []


def test_a_refresh_is_silent_for_the_operator_and_extends() -> None:
    scene = Scene()
    phone = scene.registered()
    events = len(scene.events)
    scene.wait(400)
    phone.register()
    node, request = asked(scene)
    accept(node, request)
    phone.gets(200)
    assert len(scene.events) == events
    scene.wait(400)
    assert registered(scene) == ["1001"]
    scene.wait(201)
    assert registered(scene) == []
    assert scene.event("registration.ended").device == "SEP001122334455"


def test_a_refused_refresh_leaves_the_binding_until_it_expires() -> None:
    scene = Scene()
    phone = scene.registered()
    phone.register()
    node, request = asked(scene)
    node.answers(request, 403)
    phone.gets(403)
    assert reachable(scene, phone)
    scene.close(phone.flow)
    back = scene.phone()
    back.register()
    node, request = asked(scene)
    node.answers(request, 403)
    back.gets(403)
    assert registered(scene) == ["1001"]
    assert [event.name for event in scene.events].count("registration.accepted") == 1
    back.register()
    node, request = asked(scene)
    accept(node, request)
    back.gets(200)
    assert [event.name for event in scene.events].count("registration.accepted") == 2
    scene.wait(601)
    assert registered(scene) == []


def test_a_refused_registration_is_forgotten() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node, request = asked(scene)
    node.answers(request, 404)
    phone.gets(404)
    assert list(scene.border.registrations.bindings) == []


def test_a_phone_that_never_answers_its_challenge_is_forgotten() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node, request = asked(scene)
    node.answers(request, 401, [("WWW-Authenticate", CHALLENGE)])
    phone.gets(401)
    assert len(list(scene.border.registrations.bindings)) == 1
    scene.wait(65)
    assert list(scene.border.registrations.bindings) == []


def test_nor_is_one_whose_connection_breaks_after_it() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node, request = asked(scene)
    node.answers(request, 401, [("WWW-Authenticate", CHALLENGE)])
    phone.gets(401)
    scene.close(phone.flow)
    assert list(scene.border.registrations.bindings) == []


def test_too_short_an_interval_is_answered_with_the_minimum() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(expires=30)
    assert phone.gets(423).headers.get("Min-Expires") == "60"
    assert scene.quiet()


def test_too_long_an_interval_is_cut_to_the_maximum() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(expires=100000)
    _, request = asked(scene)
    assert request.headers.get("Expires") == "3600"
    assert request.contacts[0].params["expires"] == "3600"


def test_what_is_no_number_counts_as_the_default() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(contact=phone.contact + ";expires=soon")
    _, request = asked(scene)
    assert request.contacts[0].params["expires"] == "3600"


def test_expires_in_the_contact_counts_before_the_header() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(expires=600, contact=phone.contact + ";expires=120")
    node, request = asked(scene)
    assert request.contacts[0].params["expires"] == "120"
    node.answers(request, 200, [("Contact", "<sip:1001@198.51.100.1:5060>"), ("Expires", "90")])
    assert phone.gets(200).contacts[0].params["expires"] == "90"
    scene.wait(91)
    assert registered(scene) == []


def test_a_200_without_contacts_grants_what_it_says_or_what_was_asked() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(expires=600)
    node, request = asked(scene)
    node.answers(request, 200)
    assert phone.gets(200).headers.get("Expires") == "600"


def test_a_200_that_lists_others_only_says_that_we_are_not_registered() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register()
    node, request = asked(scene)
    node.answers(request, 200, [("Contact", "<sip:someone@198.51.100.77>;expires=60")])
    assert phone.gets(200).headers.get("Expires") == "0"
    assert registered(scene) == []


def test_unregistering_by_expires_0_and_by_star() -> None:
    for contact in ("", "*"):
        scene = Scene()
        phone = scene.registered()
        phone.register(expires=0, contact=contact)
        node, request = asked(scene)
        assert request.contacts[0].params["expires"] == "0"
        assert request.contacts[0].uri.user == "1001"
        node.answers(request, 200)
        answer = phone.gets(200)
        assert answer.headers.get("Expires") == "0"
        assert answer.contacts == []
        assert registered(scene) == []
        scene.event("registration.ended")


def test_unregistering_on_another_connection() -> None:
    scene = Scene()
    phone = scene.registered()
    scene.close(phone.flow)
    again = scene.phone()
    again.register(expires=0)
    node, request = asked(scene)
    node.answers(request, 200)
    again.gets(200)
    assert list(scene.border.registrations.bindings) == []


def test_unregistering_what_is_not_registered_is_the_core_s_to_answer() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(expires=0)
    node, request = asked(scene)
    node.answers(request, 200)
    phone.gets(200)
    assert list(scene.border.registrations.bindings) == []


def test_star_with_another_expiry_is_malformed() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.register(expires=600, contact="*")
    phone.gets(400)
    assert scene.quiet()


def test_an_address_of_record_without_a_user_is_malformed() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.out("REGISTER", "sip:192.0.2.1", to="<sip:192.0.2.1>")
    phone.gets(400)
    assert scene.quiet()


def test_a_query_asks_the_core_and_lists_our_own_contact() -> None:
    scene = Scene()
    phone = scene.registered()
    scene.wait(100)
    phone.out("REGISTER", "sip:192.0.2.1", to="<sip:1001@192.0.2.1>", contact="")
    node, request = asked(scene)
    assert request.contacts == []
    node.answers(request, 200, [("Contact", "<sip:1001@198.51.100.1:5060>;expires=500")])
    answer = phone.gets(200)
    assert str(answer.contacts[0].uri).startswith("sip:1001@203.0.113.7")
    assert answer.contacts[0].params["expires"] == "500"
    assert registered(scene) == ["1001"]


def test_a_query_of_nobody_makes_nobody() -> None:
    scene = Scene()
    phone = scene.phone()
    phone.out("REGISTER", "sip:192.0.2.1", to="<sip:1001@192.0.2.1>", contact="")
    node, request = asked(scene)
    node.answers(request, 200)
    assert phone.gets(200).contacts == []
    assert registered(scene) == []


class TestSeveralNodes:
    def test_a_silent_node_is_passed_over_within_seconds(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        scene.node().hears("REGISTER")
        scene.wait(4)
        node, request = asked(scene, scene.node(NODE_2))
        assert request.uri == "sip:198.51.100.12"
        accept(node, request)
        phone.gets(200)
        assert registered(scene) == ["1001"]

    def test_a_late_answer_of_the_node_that_was_passed_over_counts_for_nothing(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        first, request = asked(scene)
        scene.wait(4)
        second, again = asked(scene, scene.node(NODE_2))
        accept(first, request)
        assert phone.quiet()
        accept(second, again)
        phone.gets(200)
        assert phone.quiet()

    def test_a_refused_connection_goes_to_the_next_at_once(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        asked(scene)
        scene.fail(next(path for path in scene.border.nodes.watches if path.host == "198.51.100.11"))
        node, request = asked(scene, scene.node(NODE_2))
        accept(node, request)
        phone.gets(200)

    def test_503_goes_to_the_next_but_404_does_not(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        node, request = asked(scene)
        node.answers(request, 503)
        node, request = asked(scene, scene.node(NODE_2))
        node.answers(request, 404)
        phone.gets(404)
        assert scene.quiet()

    def test_the_last_503_reaches_the_phone_with_retry_after(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        for node in (scene.node(), scene.node(NODE_2)):
            node.answers(node.hears("REGISTER"), 503)
        answer = phone.gets(503)
        assert answer.headers.get("Retry-After")
        assert registered(scene) == []

    def test_with_all_silent_the_phone_gets_one_503(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        scene.wait(4.0)
        scene.wait(33.0)
        answer = phone.gets(503)
        assert answer.headers.get("Retry-After") == "10"
        assert answer.headers.get("Warning") == '399 192.0.2.1 "No core node answers"'
        assert phone.quiet()
        assert list(scene.border.registrations.bindings) == []

    def test_with_all_down_the_phone_gets_503_at_once(self) -> None:
        scene = Scene(sample(keepalive=True, replace={"retry 5": "retry 1"}))
        scene.wait(6)
        scene.sent.clear()
        phone = scene.phone()
        phone.register()
        assert phone.gets(503).headers.get("Retry-After") == "10"

    def test_provisional_answers_stop_the_hunt(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        node, request = asked(scene)
        node.answers(request, 100)
        scene.wait(10)
        assert scene.quiet()
        accept(node, request)
        phone.gets(200)


class TestIdentity:
    @pytest.mark.parametrize(
        "claim",
        [
            ';+u.sip!devicename.ccm.cisco.com="SEP0000DEADBEEF"',
            ';+sip.instance="<urn:uuid:00000000-0000-0000-0000-0000deadbeef>"',
        ],
    )
    def test_another_device_s_name_is_refused_and_reported(self, claim: str) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register(contact=phone.contact + claim)
        assert phone.gets(403).headers.get("Reason") == "Q.850;cause=21"
        event = scene.event("registration.refused")
        assert (event.cause, event.device, event.peer) == ("identity", "SEP001122334455", "203.0.113.7:40000")
        assert "SEP0000DEADBEEF" in event.text
        assert event.fix
        assert scene.quiet()

    def test_an_instance_that_is_no_mac_claims_nothing(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register(contact=phone.contact + ';+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"')
        asked(scene)

    def test_a_phone_without_a_certificate_claims_what_it_likes(self) -> None:
        scene = Scene()
        phone = scene.phone(device="")
        phone.device = "SEP001122334455"
        phone.register()
        asked(scene)

    @pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
    def test_other_requests_claim_no_other_device_either(self, method: str) -> None:
        scene = Scene()
        phone = scene.registered()
        other = phone.contact + ';+u.sip!devicename.ccm.cisco.com="SEP0000DEADBEEF"'
        phone.out(method, "sip:2001@192.0.2.1", contact=other, body=srtp() if method == "INVITE" else b"")
        phone.gets(403)
        assert scene.event("request.refused").cause == "identity"
        assert scene.quiet()


class TestConnections:
    def test_a_lost_connection_detaches_and_a_new_one_binds_again(self) -> None:
        scene = Scene()
        phone = scene.registered()
        scene.close(phone.flow)
        assert scene.event("registration.detached").peer == "203.0.113.7:40000"
        node = scene.node()
        node.calls("1001")
        node.gets(100)
        assert node.gets(480).headers.get("Reason") == "Q.850;cause=20"
        again = scene.registered()
        assert [event.name for event in scene.events].count("registration.accepted") == 2
        node = scene.node()
        node.calls("1001")
        node.gets(100)
        again.hears("INVITE")

    def test_a_detached_registration_expires_in_its_time(self) -> None:
        scene = Scene()
        phone = scene.registered()
        scene.close(phone.flow)
        scene.wait(599)
        assert registered(scene) == ["1001"]
        scene.wait(2)
        assert list(scene.border.registrations.bindings) == []
        node = scene.node()
        node.calls("1001")
        node.gets(100)
        node.gets(404)

    def test_losing_the_connection_twice_changes_nothing(self) -> None:
        scene = Scene()
        phone = scene.registered()
        for _ in range(2):
            scene.close(phone.flow)
            assert scene.border.registrations.bindings.on_flow(phone.flow) == []
        assert registered(scene) == ["1001"]

    def test_a_connection_lost_while_the_core_thinks(self) -> None:
        scene = Scene()
        phone = scene.phone()
        phone.register()
        node, request = asked(scene)
        scene.close(phone.flow)
        accept(node, request)
        assert registered(scene) == []
        assert list(scene.border.registrations.bindings) == []
        assert scene.quiet()

    def test_an_answer_that_finds_the_refreshing_phone_gone_keeps_the_old_term(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.register()
        node, request = asked(scene)
        scene.close(phone.flow)
        accept(node, request)
        assert registered(scene) == ["1001"]
        scene.wait(601)
        assert registered(scene) == []

    def test_what_a_lost_phone_had_to_hear_is_not_sent_by_a_new_connection(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.register()
        node, request = asked(scene)
        scene.close(phone.flow)
        node.answers(request, 403)
        assert scene.quiet()

    def test_two_refreshes_cross_an_unregistration(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.register()
        node, refresh = asked(scene)
        phone.register(expires=0)
        node, goodbye = asked(scene)
        node.answers(goodbye, 200)
        phone.gets(200)
        accept(node, refresh)
        phone.gets(200)
        assert registered(scene) == []

    def test_a_new_connection_takes_over_and_the_old_one_s_end_is_nothing(self) -> None:
        scene = Scene()
        old = scene.registered()
        new = scene.registered()
        scene.close(old.flow)
        assert "registration.detached" not in [event.name for event in scene.events]
        node = scene.node()
        node.calls("1001")
        node.gets(100)
        assert new.hears("INVITE")
        assert [binding.flow for binding in scene.border.registrations.bindings] == [new.flow]


def test_two_phones_with_the_same_contact_user_are_told_apart() -> None:
    """Shared line: the core accepted both, so both are registered, and each is reached by its own alias."""
    scene = Scene()
    first = scene.registered()
    second = scene.phone(device="SEP001122334466", host="203.0.113.8")
    second.register()
    node, request = asked(scene)
    assert request.contacts[0].uri.user == "1001-2"
    accept(node, request)
    second.gets(200)
    for alias, phone in (("1001", first), ("1001-2", second)):
        node = scene.node()
        node.calls(alias)
        node.gets(100)
        assert phone.hears("INVITE").uri == f"sip:1001@{phone.host}:40000;transport=tls"
    third = scene.phone(device="SEP001122334477", host="203.0.113.9")
    third.register()
    _, request = asked(scene)
    assert request.contacts[0].uri.user == "1001-3"


def test_a_number_is_found_at_its_newest_reachable_phone() -> None:
    scene = Scene()
    phones = []
    for digit in (5, 6):
        phone = scene.phone(device=f"SEP00112233445{digit}", host=f"203.0.113.{digit}")
        phone.register(contact=f"<sip:line{digit}@203.0.113.{digit}:40000;transport=tls>")
        node, request = asked(scene)
        accept(node, request)
        phone.gets(200)
        phones.append(phone)
        scene.wait(1)
    node = scene.node()
    node.calls("1001")
    node.gets(100)
    phones[1].hears("INVITE")
    scene.close(phones[1].flow)
    scene.sent.clear()
    node = scene.node()
    node.calls("1001")
    node.gets(100)
    phones[0].hears("INVITE")


def test_without_a_registrar_nobody_registers() -> None:
    scene = Scene(sample(replace={"  registrar server expires max 3600 min 60\n": ""}))
    phone = scene.phone()
    phone.register()
    assert phone.gets(403).headers.get("Warning") == '399 192.0.2.1 "Registrar is not enabled"'
    assert scene.event("registration.refused").fix


def test_a_body_and_the_phone_s_headers_pass() -> None:
    """Cisco phones register with a multipart body and Reason."""
    scene = Scene()
    phone = scene.phone()
    body = b"--x\r\nContent-Type: application/x-cisco-remotecc-request+xml\r\n\r\n<a/>\r\n--x--\r\n"
    reason = 'SIP;cause=200;text="cisco-alarm:23 Name=SEP001122334455"'
    headers = [("Reason", reason), ("Supported", "replaces,X-cisco-srtp-fallback")]
    phone.out(
        "REGISTER",
        "sip:192.0.2.1",
        to="<sip:1001@192.0.2.1>",
        body=body,
        content_type="multipart/mixed;boundary=x",
        headers=headers,
    )
    _, request = asked(scene)
    assert request.body == body
    assert request.headers.get("Content-Type") == "multipart/mixed;boundary=x"
    assert request.headers.get("Reason") == reason
    assert request.headers.rows("Supported") == ["replaces,X-cisco-srtp-fallback"]
