"""URIs, name-addr and Via (RFC 3261 19.1, 20.10, 20.42; RFC 5118)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.uri import NameAddr, Uri, Via, unbracket, unescape
from tests.protocols.sip import strategies as sip


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip:alice@atlanta.com", ("sip", "alice", "", "atlanta.com", None, {}, "")),
        (
            "sips:alice:secret@atlanta.com:5061;transport=tls?subject=x&priority=urgent",
            ("sips", "alice", "secret", "atlanta.com", 5061, {"transport": "tls"}, "subject=x&priority=urgent"),
        ),
        (
            "sip:user;par=u%40example.net@example.com",
            ("sip", "user;par=u%40example.net", "", "example.com", None, {}, ""),
        ),
        ("SIP:1001@[2001:db8::10]:5070;LR", ("sip", "1001", "", "[2001:db8::10]", 5070, {"lr": None}, "")),
        ("sip:[2001:db8::10:5070]", ("sip", "", "", "[2001:db8::10:5070]", None, {}, "")),
        ("sip:*98#@10.0.0.1", ("sip", "*98#", "", "10.0.0.1", None, {}, "")),
        ("sip:host;lr=", ("sip", "", "", "host", None, {"lr": ""}, "")),
    ],
)
def test_a_sip_uri_has_these_parts(text: str, parts: tuple[object, ...]) -> None:
    uri = Uri.parse(text)
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers) == parts
    assert Uri.parse(str(uri)) == uri


def test_an_ipv6_erratum_is_put_right() -> None:
    """RFC 5118 4.10: three colons before an embedded IPv4 address are tolerated, never sent on."""
    assert Uri.parse("sip:u@[2001:db8:::192.0.2.1]").host == "[2001:db8::192.0.2.1]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@host",
        "sip:a@b@c",
        "sip:a b@host",
        " sip:a@host ",
        "<sip:a@host>",
        "sip:2001:db8::10",
        "sip:[2001:db8::10",
        "sip:[1:2:3]",
        "sip:[:::1]",
        "sip:a@host:",
        "sip:a@host:65536",
        "sip:a@host:١",
        "sip:a@host:5060_0",
        "sip:%4@host",
        "sip:a%zz@host",
        "sip:a@host;",
        "sip:a@host;;lr",
        "sip:a@host;lr;LR",
        "sip:a@host;=x",
        "sip:é@host",
        "noscheme",
        "1tel:5",
        "tel:",
    ],
)
def test_a_bad_uri_is_the_peers_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Uri.parse(text)
    assert caught.value.status == 400


def test_other_schemes_are_kept_for_the_caller_to_judge() -> None:
    tel = Uri.parse("tel:+1-555;phone-context=example.com")
    assert (tel.scheme, tel.user, tel.params) == ("tel", "+1-555", {"phone-context": "example.com"})
    assert str(tel) == "tel:+1-555;phone-context=example.com"
    odd = Uri.parse("soap.beep://192.0.2.103:3002")
    assert (odd.scheme, odd.host, odd.opaque) == ("soap.beep", "", "//192.0.2.103:3002")
    assert str(odd) == "soap.beep://192.0.2.103:3002"
    assert Uri.parse("TEL:abcxyz").opaque == "abcxyz"


# RFC 3261 19.1.4, the examples and the rules around them.
SAME = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0:0:0:0:0:1]"),
    ("sip:a%2fb@host", "sip:a%2Fb@host"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
    ("sip:bob:x@biloxi.com", "sip:bob:y@biloxi.com"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;maddr=10.0.0.1"),
    ("sip:bob@biloxi.com;ttl=1", "sip:bob@biloxi.com"),
    ("sip:bob@biloxi.com;a=1", "sip:bob@biloxi.com;a=2"),
    ("sip:a%2fb@host", "sip:a/b@host"),
    ("urn:a", "urn:b"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_these_uris_are_equivalent(one: str, two: str) -> None:
    assert Uri.parse(one).equals(Uri.parse(two))
    assert Uri.parse(two).equals(Uri.parse(one))


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_these_uris_differ(one: str, two: str) -> None:
    assert not Uri.parse(one).equals(Uri.parse(two))
    assert not Uri.parse(two).equals(Uri.parse(one))


def test_replace_leaves_the_original_alone() -> None:
    uri = Uri.parse("sip:1001@10.0.0.1:5061;transport=TLS")
    other = uri.replace(host="10.9.9.9", port=None)
    other.params["lr"] = None
    assert str(other) == "sip:1001@10.9.9.9;transport=TLS;lr"
    assert str(uri) == "sip:1001@10.0.0.1:5061;transport=TLS"
    assert (uri.transport, other.replace(params={}).transport) == ("tls", "")


@given(sip.users, st.text("aZ09&=+$,", max_size=5), sip.hosts, sip.ports, sip.uri_params)
def test_writing_and_reading_a_uri_gives_the_same(
    user: str, password: str, host: str, port: int | None, params: dict[str, str | None]
) -> None:
    uri = Uri("sip", user, password if user else "", host, port, params)
    assert Uri.parse(str(uri)) == uri
    assert uri.equals(Uri.parse(str(uri)))


def test_escapes_are_undone() -> None:
    assert unescape("sips%3Auser%40example.com") == "sips:user@example.com"
    assert unescape("plain") == "plain"
    assert unescape("nul%00") == "nul\x00"
    assert unescape("%c3%a9") == "é"
    assert unescape("%ff") == "\udcff"
    assert unescape("ż%41") == "żA"
    assert (unbracket("[::1]"), unbracket("10.0.0.1")) == ("::1", "10.0.0.1")


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        ("<sip:a@b>", "", "sip:a@b", {}),
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
        ("sip:a@b", "", "sip:a@b", {}),
        ("<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", {"tag": "1"}),
        ("caller<sip:a@b>;tag=323", "caller", "sip:a@b", {"tag": "323"}),
        ("Bob Smith  <sip:a@b> ; Tag = x", "Bob Smith", "sip:a@b", {"tag": "x"}),
        (r'"J \\\"R <,;>" <sip:a@b>', 'J \\"R <,;>', "sip:a@b", {}),
        ('"" <sip:a@b>', "", "sip:a@b", {}),
        (
            '<sip:a@b>;+sip.instance="<urn:uuid:00>";expires=3600',
            "",
            "sip:a@b",
            {"+sip.instance": '"<urn:uuid:00>"', "expires": "3600"},
        ),
    ],
)
def test_a_name_addr_has_these_parts(text: str, display: str, uri: str, params: dict[str, str | None]) -> None:
    value = NameAddr.parse(text)
    assert (value.display, str(value.uri), value.params) == (display, uri, params)
    assert NameAddr.parse(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '"Mr. J. User <sip:j.user@example.com>',
        "Bell, Alexander <sip:a@b>",
        "<sip:a@b",
        "sip:a@b>",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>;tag=1;TAG=2",
        "<sip:a@b> junk",
        "< sip:a@b >",
        "sip:a@b?Route=x",
        "sip:a@b,sip:c@d",
        '<sip:a@b>;x="open',
        "<sip:a@b>;x=",
        "",
        "*",
    ],
)
def test_a_bad_name_addr_is_the_peers_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        NameAddr.parse(text)


def test_a_display_name_that_is_no_token_is_written_quoted() -> None:
    """RFC 4475 3.1.2.17: not to be propagated unquoted."""
    assert str(NameAddr.parse("Doe (ext 5) <sip:a@b>")) == '"Doe (ext 5)" <sip:a@b>'


def test_a_password_does_not_show() -> None:
    assert "hunter2" not in repr(Uri.parse("sip:bob:hunter2@example.com"))


@given(sip.displays, sip.users, sip.hosts, sip.header_params)
def test_writing_and_reading_a_name_addr_gives_the_same(
    display: str, user: str, host: str, params: dict[str, str | None]
) -> None:
    value = NameAddr(display, Uri("sip", user, host=host), params)
    assert NameAddr.parse(str(value)) == value


def test_a_via_has_these_parts() -> None:
    via = Via.parse(
        "SIP / 2.0 / TLS   [2001:db8::9:1] : 5061 ; branch = z9hG4bK1;received=[2001:db8::9:255];rport=5090"
    )
    assert (via.transport, via.host, via.port, via.branch) == ("TLS", "[2001:db8::9:1]", 5061, "z9hG4bK1")
    assert (via.received, via.rport, via.sent_by) == ("2001:db8::9:255", 5090, "[2001:db8::9:1]:5061")
    assert str(via) == "SIP/2.0/TLS [2001:db8::9:1]:5061;branch=z9hG4bK1;received=[2001:db8::9:255];rport=5090"


@pytest.mark.parametrize("rport", ["", ";rport", ";rport=x", ";rport=123456"])
def test_rport_without_a_number_is_none(rport: str) -> None:
    via = Via.parse(f"SIP/2.0/UDP host;received=2001:db8::1{rport}")
    assert (via.rport, via.received, Via.parse("SIP/2.0/UDP host").received) == (None, "2001:db8::1", None)


@pytest.mark.parametrize(
    "text",
    ["", "SIP/2.0/UDP", "SIP/2.0 host", "SIP/2.0/UDP host;;branch=1", "SIP/2.0/UDP h:70000", "SIP/2.0/UDP [1::2::3]"],
)
def test_a_bad_via_is_the_peers_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Via.parse(text)


@given(sip.tokens, sip.hosts, sip.ports, sip.header_params)
def test_writing_and_reading_a_via_gives_the_same(
    transport: str, host: str, port: int | None, params: dict[str, str | None]
) -> None:
    via = Via(transport, host, port, params)
    assert Via.parse(str(via)) == via


@given(sip.sip_like_text)
def test_nothing_but_the_peers_error_comes_out(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse, Via.parse):
        try:
            value = parse(text)
        except RemoteProtocolError:
            continue
        assert parse(str(value)) == value
