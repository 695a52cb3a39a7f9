"""Strangers, malformed messages and methods that nobody knows: the right answer to the sender, one event, no state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cubeproxy.border.effects import Malformed
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import Response
from cubeproxy.protocols.values import DeviceIdentity, Flow, Severity, Transport
from tests.border.scene import CORE, Peer, Scene, calling, identity, rtp, sample, srtp


def stranger(scene: Scene, who: DeviceIdentity | None = None) -> Peer:
    return Peer(scene, Flow(900, Transport.UDP, CORE, ("203.0.113.66", 5060), who), "", "")


class TestStrangers:
    @pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "ACK"])
    def test_a_core_source_that_nobody_named_is_not_answered(self, method: str) -> None:
        scene = Scene()
        stranger(scene).out(method, "sip:1001@198.51.100.1")
        assert scene.quiet()
        (event,) = scene.events
        assert (event.name, event.cause, event.peer) == ("sip.untrusted", "untrusted", "203.0.113.66:5060")
        assert event.severity is Severity.WARNING
        assert "ip address trusted list" in event.fix
        assert scene.border.user.layer.counts()["INVITE server"] == 0

    def test_with_no_silent_discard_it_is_told(self) -> None:
        scene = Scene(sample(replace={" allow-connections": " no silent-discard untrusted\n allow-connections"}))
        other = stranger(scene)
        other.out("INVITE", "sip:1001@198.51.100.1", body=rtp())
        assert other.gets(403).headers.get("Reason") == "Q.850;cause=21"
        other.out("ACK", "sip:1001@198.51.100.1")
        assert scene.quiet()

    def test_without_authentication_everybody_may(self) -> None:
        scene = Scene(sample(replace={" allow-connections": " no ip address trusted authenticate\n allow-connections"}))
        other = stranger(scene)
        other.out("OPTIONS", "sip:198.51.100.1")
        other.gets(200)

    def test_a_network_of_the_trusted_list_may(self) -> None:
        trusted = "  ipv4 203.0.113.0 255.255.255.0\n"
        old = "  ipv4 198.51.100.11 255.255.255.255\n"
        scene = Scene(sample(replace={old: old + trusted}))
        other = stranger(scene)
        other.out("OPTIONS", "sip:198.51.100.1")
        other.gets(200)

    def test_a_peer_s_certificate_is_enough_and_a_phone_s_is_not(self) -> None:
        scene = Scene()
        peer = DeviceIdentity("", "CN=cucm3", "CN=cucm3", "peer", "CCM3", "00")
        other = stranger(scene, peer)
        other.out("OPTIONS", "sip:198.51.100.1")
        other.gets(200)
        phone = stranger(scene, identity("SEP001122334455"))
        phone.out("OPTIONS", "sip:198.51.100.1")
        assert scene.quiet()

    def test_their_malformed_messages_are_not_answered_either(self) -> None:
        scene = Scene()
        other = stranger(scene)
        other.sends(b"INVITE sip:x@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n\r\n")
        assert scene.quiet()


class TestMethods:
    def test_a_request_outside_a_dialog_that_we_do_not_serve(self) -> None:
        scene = Scene()
        phone = scene.registered()
        for method in ("SUBSCRIBE", "REFER", "INFO", "UPDATE"):
            phone.out(method, "sip:1001@192.0.2.1")
            assert phone.gets(405).headers.all("Allow")
        phone.out("FROBNICATE", "sip:1001@192.0.2.1")
        phone.gets(501)
        assert scene.quiet()

    def test_the_core_registers_nobody(self) -> None:
        scene = Scene()
        node = scene.node()
        node.out("REGISTER", "sip:198.51.100.1")
        node.gets(405)

    @pytest.mark.parametrize("uri", ["mailto:x@example.com", "urn:service:sos", "http:x"])
    def test_a_scheme_that_is_not_sip(self, uri: str) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.out("INVITE", uri, to="<sip:2001@192.0.2.1>", body=srtp())
        phone.gets(416)

    def test_a_telephone_number_is_called(self) -> None:
        scene = Scene(sample(replace={" destination uri ACC\n": ""}))
        phone = scene.registered()
        phone.out("INVITE", "tel:+4930123", body=srtp())
        phone.gets(100)
        assert scene.node().hears("INVITE").uri == "sip:+4930123@198.51.100.11:5060"

    def test_an_invite_without_contact(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.out("INVITE", "sip:2001@192.0.2.1", body=srtp(), contact="")
        phone.gets(100)
        phone.gets(400)
        phone.answer = None
        assert scene.border.calls.counts()["calls"] == 0


class TestMalformed:
    @pytest.mark.parametrize(
        ("old", "new", "status"),
        [
            ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", 505),
            ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 400),
            ("CSeq: 1 OPTIONS", "CSeq: 99999999999 OPTIONS", 400),
            ("Max-Forwards: 70", "Max-Forwards: many", 400),
            ("Call-ID:", "X-Call-ID:", 400),
            ("To: <sip:192.0.2.1>", "To: <<nobody>>", 400),
        ],
    )
    def test_it_is_answered_and_told(self, old: str, new: str, status: int) -> None:
        scene = Scene(strict=False)
        phone = scene.phone()
        phone.out("OPTIONS", "sip:192.0.2.1")
        phone.gets(200)
        assert phone.request is not None
        text = phone.request.serialise().decode()
        assert old in text
        phone.sends(text.replace(old, new, 1).replace("branch=z9hG4bK", "branch=z9hG4bKm").encode())
        answer = scene.next(phone.host).message
        assert isinstance(answer, Response)
        assert answer.status == status
        (event,) = [event for event in scene.events if event.name == "sip.malformed"]
        assert (event.cause, event.peer, event.device) == (str(status), "203.0.113.7:40000", "SEP001122334455")
        assert "access" in event.text

    def test_what_cannot_be_answered_is_told_only(self) -> None:
        scene = Scene()
        phone = scene.phone()
        start = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\n"
        phone.sends(start + b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n")
        phone.sends(
            b"ACK sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bKa\r\nCall-ID: 1\r\nCSeq: 1 ACK\r\n\r\n"
        )
        phone.sends(b"\x00\x01\x02 garbage")
        scene.feed(Malformed(phone.flow, RemoteProtocolError("too long", 413), None))
        assert scene.quiet()
        assert {event.name for event in scene.events} == {"sip.malformed"}

    def test_a_malformed_answer_is_dropped(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.calls("2001", srtp())
        node = scene.node()
        invite = node.hears("INVITE")
        response = Response(200)
        for name in ("Via", "From", "Call-ID", "CSeq"):
            response.headers.add(name, invite.headers.get(name) or "")
        node.sends(response.serialise())
        assert scene.event("sip.malformed")
        phone.gets(100)
        assert phone.quiet()

    def test_headers_that_would_not_fit_once_passed_on(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.calls("2001", srtp(), [("Call-Info", "<urn:x>;" + "x" * 7800)])
        phone.gets(513)
        phone.calls("2001", srtp(), [("Via", f"SIP/2.0/TLS {'v' * 15800};branch=z9hG4bKa")])
        assert scene.quiet()
        assert [event.cause for event in scene.events if event.name == "sip.malformed"] == ["513", "513"]
        phone, node, invite = calling(scene)
        node.answers(invite, 486, [("Call-Info", "<urn:x>;" + "x" * 7800)])
        assert scene.quiet()

    @pytest.mark.parametrize("status", ["000", "099", "799"])
    def test_a_status_that_is_none(self, status: str) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.calls("2001", srtp())
        phone.gets(100)
        node = scene.node()
        invite = node.hears("INVITE")
        node.answers(invite, 180)
        phone.gets(180)
        rows = [f"SIP/2.0 {status} Odd"]
        rows += [f"{name}: {invite.headers.get(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
        node.sends("\r\n".join([*rows, f"To: {invite.headers.get('To')};tag=odd", "", ""]).encode())
        assert phone.quiet()
        assert len(scene.border.calls) == 1


def test_the_torture_messages_get_the_answers_of_their_manifest(corpora: Path) -> None:
    """RFC 4475 and RFC 5118 from a registered phone's connection: element level."""
    wrong: list[tuple[str, object, object]] = []
    for case in json.loads((corpora / "manifest.json").read_text())["cases"]:
        expected = case["expect"].get("element")
        if case["kind"] != "sip" or not case["id"].startswith("rfc") or expected is None:
            continue
        scene = Scene(strict=False)
        phone = scene.registered()
        phone.sends((corpora / case["file"]).read_bytes())
        statuses = {sent.message.status for sent in scene.sent if isinstance(sent.message, Response)} - {100}
        allowed = {one for one in expected if isinstance(one, int)}
        if statuses - allowed and not {"process", "any"} & set(expected):
            wrong.append((case["id"], sorted(statuses), expected))
        if not statuses and not {"process", "any", "drop", "close"} & set(expected):
            wrong.append((case["id"], "no answer", expected))
    assert wrong == []
