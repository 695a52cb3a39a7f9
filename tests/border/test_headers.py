"""What passes from one face to the other: headers by list, addresses never."""

from __future__ import annotations

import pytest

from tests.border.scene import Scene, called, calling, established, rtp, sample, srtp

LIST = " passthru-hdr Referred-By\n"


def test_the_predefined_list_passes_and_the_rest_stays() -> None:
    scene = Scene()
    headers = [
        ("Call-Info", "<urn:x-cisco-remotecc:callinfo>;security=NotAuthenticated;orientation=to"),
        ("Allow-Events", "kpml,dialog"),
        ("Supported", "replaces,X-cisco-srtp-fallback"),
        ("Session-ID", "00000000000000000000000000000001;remote=00000000000000000000000000000000"),
        ("Recv-Info", "conference"),
        ("User-Agent", "Cisco-CP8851/12.1.1"),
        ("Cisco-Guid", "1-2-3-4"),
        ("X-Secret", "1"),
        ("P-Charging-Vector", "x"),
        ("Proxy-Require", "foo"),
        ("Route", "<sip:192.0.2.99;lr>"),
    ]
    _, _, invite = calling(scene, headers=headers)
    for name, value in headers[:6]:
        assert invite.headers.rows(name) == [value]
    for name, _ in headers[6:]:
        assert name not in invite.headers


def test_a_configured_list_adds_to_it() -> None:
    scene = Scene(sample(replace={LIST: LIST + " passthru-hdr X-Wanted\n"}))
    _, _, invite = calling(scene, headers=[("X-Wanted", "a"), ("x-wanted", "b"), ("X-Other", "c")])
    assert invite.headers.rows("X-Wanted") == ["a", "b"]
    assert "X-Other" not in invite.headers


def test_unsupported_headers_pass_when_the_list_says_so_but_never_what_is_ours_or_secret() -> None:
    scene = Scene(sample(replace={LIST: LIST + " passthru-hdr-unsupp\n"}))
    headers = [("X-Other", "c"), ("Cisco-Guid", "1"), ("Path", "<sip:x>"), ("WWW-Authenticate", "Digest x")]
    _, _, invite = calling(scene, headers=headers)
    assert invite.headers.rows("X-Other") == ["c"]
    for name in ("Cisco-Guid", "Path", "WWW-Authenticate"):
        assert name not in invite.headers


def test_a_list_that_is_empty_passes_what_is_predefined() -> None:
    scene = Scene(sample(replace={" voice-class sip pass-thru headers 1\n": ""}))
    _, _, invite = calling(scene, headers=[("Call-Info", "<urn:x>"), ("X-Other", "c")])
    assert invite.headers.rows("Call-Info") == ["<urn:x>"]
    assert "X-Other" not in invite.headers


@pytest.mark.parametrize(
    "row",
    [
        b"X-Bypass-me : 1",
        b"X-Secret:1\r\n Proxy-Authorization: Digest stolen",
        b"X-Secret:1\r\n\tRoute: <sip:198.51.100.99;lr>",
        b"Cisco-Guid:1\r\n X-Bypass-me: 1",
        b"CISCO-GUID: 1",
        b"Cisco-Guid\t: 1",
        b"X-Secret:1\rProxy-Authorization: Digest stolen",
    ],
)
def test_nothing_is_smuggled_past_the_list(row: bytes) -> None:
    """CVE-2020-28361: one parser, canonical names, the outgoing message rebuilt; or the whole message refused."""
    scene = Scene()
    phone = scene.registered()
    phone.out("OPTIONS", "sip:2001@192.0.2.1")
    phone.gets(200)
    assert phone.request is not None
    text = phone.request.serialise().replace(b"OPTIONS", b"INVITE").replace(b"\r\n\r\n", b"\r\n" + row + b"\r\n\r\n")
    phone.sends(text.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"))
    heard = [sent.message for sent in scene.sent if sent.path is not phone.flow]
    assert heard or scene.event("sip.malformed")
    for invite in heard:
        text = invite.serialise().lower()
        assert not any(word in text for word in (b"bypass", b"stolen", b"198.51.100.99", b"guid"))


class TestAddresses:
    HEADERS = (
        ("P-Asserted-Identity", '"Alice" <sip:2001@198.51.100.12>'),
        ("Remote-Party-ID", '"Alice" <sip:2001@198.51.100.11:5060>;party=calling;screen=yes'),
        ("Diversion", "<sip:2005@198.51.100.12>;reason=unconditional"),
        ("History-Info", "<sip:2006@198.51.100.11:5060>;index=1"),
        ("Referred-By", "<sip:2007@198.51.100.1>"),
    )

    def test_the_core_s_addresses_never_reach_a_phone(self) -> None:
        scene = Scene()
        _, _, invite = called(scene, headers=list(self.HEADERS))
        text = invite.serialise().decode()
        assert "198.51.100" not in text
        assert invite.headers.get("P-Asserted-Identity") == '"Alice" <sip:2001@192.0.2.1>'
        assert invite.headers.get("Remote-Party-ID") == '"Alice" <sip:2001@192.0.2.1>;party=calling;screen=yes'
        assert invite.headers.get("Diversion") == "<sip:2005@192.0.2.1>;reason=unconditional"

    def test_nor_in_answers(self) -> None:
        scene = Scene()
        phone, node, invite = calling(scene)
        node.answers(invite, 200, list(self.HEADERS[:2]), rtp())
        assert "198.51.100" not in phone.gets(200).serialise().decode()

    def test_a_phone_s_addresses_never_reach_the_core(self) -> None:
        scene = Scene()
        headers = [
            ("Remote-Party-ID", '"Bob" <sip:1001@192.0.2.1>;party=calling'),
            ("P-Preferred-Identity", "<sip:1001@10.1.2.3:5061>"),
            ("Diversion", "<sip:1002@203.0.113.7>;reason=no-answer"),
        ]
        _, _, invite = calling(scene, headers=headers)
        text = invite.serialise().decode()
        for address in ("192.0.2.1", "203.0.113.7", "10.1.2.3"):
            assert address not in text
        assert invite.headers.get("Remote-Party-ID") == '"Bob" <sip:1001@198.51.100.11>;party=calling'
        assert invite.headers.get("P-Preferred-Identity") == "<sip:1001@198.51.100.1>"

    def test_who_is_somewhere_else_keeps_his_host(self) -> None:
        scene = Scene()
        _, _, invite = calling(scene, headers=[("Diversion", "<sip:1@example.com>, <sip:2@192.0.2.1>")])
        assert invite.headers.rows("Diversion") == ["<sip:1@example.com>, <sip:2@198.51.100.11>"]

    def test_a_name_with_quotes_stays_one(self) -> None:
        scene = Scene()
        phone = scene.registered()
        phone.display = '"A \\"B\\" \\\\ C" '
        phone.calls("2001", srtp())
        invite = scene.node().hears("INVITE")
        assert invite.from_.display == 'A "B" \\ C'

    def test_contact_parameters_pass_and_registration_ones_do_not(self) -> None:
        scene = Scene()
        phone = scene.registered()
        contact = phone.contact + ';+u.sip!devicename.ccm.cisco.com="SEP001122334455";isfocus;expires=60;q=0.1'
        phone.out("INVITE", "sip:2001@192.0.2.1", body=srtp(), contact=contact)
        invite = scene.node().hears("INVITE")
        assert list(invite.contacts[0].params) == ["+u.sip!devicename.ccm.cisco.com", "isfocus"]


def test_hops_are_counted_down_and_refused_at_0() -> None:
    scene = Scene()
    phone, node = established(scene)
    phone.within("INFO", hops=0)
    phone.gets(483)
    phone.within("INFO", hops=1)
    heard = node.hears("INFO")
    assert heard.max_forwards == 0
    node.answers(heard, 200)
    phone.gets(200)
    phone.within("BYE", hops=0)
    phone.gets(200)
    assert node.hears("BYE").max_forwards == 70
    for method, uri in (("INVITE", "sip:2001@192.0.2.1"), ("REGISTER", "sip:192.0.2.1")):
        phone.out(method, uri, to="<sip:1001@192.0.2.1>", hops=0, body=srtp() if method == "INVITE" else b"")
        phone.gets(483)
    phone.out("OPTIONS", "sip:192.0.2.1", hops=0)
    phone.gets(200)


def test_a_message_without_max_forwards_starts_at_70() -> None:
    scene = Scene()
    phone = scene.registered()
    phone.out("INVITE", "sip:2001@192.0.2.1", body=srtp(), hops=None)
    assert scene.node().hears("INVITE").max_forwards == 70
