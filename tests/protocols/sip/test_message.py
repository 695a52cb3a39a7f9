"""Reading and writing messages (RFC 3261 7, 8.2.6, 18.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import (
    MAX_HEAD,
    MAX_ROWS,
    CSeq,
    Headers,
    MalformedMessage,
    Message,
    Request,
    Response,
    parse_message,
    response_to,
    validate_request,
    validate_response,
)
from cubeproxy.protocols.sip.reasons import PHRASES
from cubeproxy.protocols.sip.uri import Via
from tests.protocols.sip import strategies as sip
from tests.protocols.sip.builders import INVITE, octets, request, response


def test_a_request_has_these_parts() -> None:
    message = request(b"Content-Type: Application/SDP ;charset=x", body=b"v=0\r\n")
    assert (message.method, message.uri, message.version) == ("INVITE", "sip:2001@10.0.0.1", "SIP/2.0")
    assert (message.call_id, message.cseq, str(message.cseq)) == (
        "00112233@127.0.10.9",
        CSeq(101, "INVITE"),
        "101 INVITE",
    )
    assert (message.from_.display, message.from_tag, message.to_tag) == ("Alice", "a73", None)
    assert (message.via.transport, message.branch, len(message.vias)) == ("TLS", "z9hG4bK77", 1)
    assert [str(contact.uri) for contact in message.contacts] == ["sip:1001@127.0.10.9:51044;transport=tls"]
    assert (message.contact_star, message.content_type, message.body) == (False, "application/sdp", b"v=0\r\n")
    assert (message.max_forwards, message.expires) == (70, None)


def test_a_response_has_these_parts() -> None:
    message = response("486 Besetzt ß".encode(), b"Expires: 0060")
    assert (message.status, message.reason, message.expires, message.content_type) == (486, "Besetzt ß", 60, "")
    assert response(b"100 ").reason == ""


def test_typed_views_follow_the_rows() -> None:
    """They are kept, but never longer than the row that they came from."""
    message = request()
    assert message.from_ is message.from_
    assert message.contacts is message.contacts
    message.headers.set("From", "<sip:x@y>;tag=new")
    message.headers.set("Contact", ["<sip:a@b>", "<sip:c@d>"])
    assert (message.from_.tag, message.from_tag, len(message.contacts)) == ("new", "new", 2)
    message.headers.set("Contact", "*")
    assert (message.contacts, message.contact_star) == ([], True)
    message.headers.set("Contact", "")
    assert message.contacts == []
    message.headers.remove("Contact")
    assert (message.contacts, message.contact_star) == ([], False)


@pytest.mark.parametrize(
    ("name", "view"), [("From", "from_"), ("To", "to"), ("Via", "via"), ("CSeq", "cseq"), ("Call-ID", "call_id")]
)
def test_a_view_of_a_bad_or_missing_row_is_the_peers_error(name: str, view: str) -> None:
    message = request()
    message.headers.set(name, "bad <value")
    with pytest.raises(RemoteProtocolError):
        getattr(message, view)
    message.headers.remove(name)
    with pytest.raises(RemoteProtocolError, match="is missing"):
        getattr(message, view)


def test_tags_come_from_parameters_only() -> None:
    """Neither a display name, nor a URI, nor a quoted value may pass for a tag: dialogs are found by it."""
    for value, tag in [
        ('"<sip:x>;tag=evil" <sip:a@b>', None),
        ("<sip:a@b;tag=evil>", None),
        ("<sip:a@b;tag=evil> ; tag = good", "good"),
        ('<sip:a@b>;x=">;tag=evil"', None),
        ('<sip:a@b>;x=";tag=evil";tag=good', "good"),
        ("sip:a@b;tag=good", "good"),
        ("sip:a@b", None),
        ("<sip:a@b>;Xtag=evil;TAG=good", "good"),
    ]:
        message = request()
        message.headers.set("To", value)
        assert message.to_tag == tag == message.to.tag
    message.headers.remove("To")
    assert message.to_tag is None


def test_the_branch_is_that_of_the_topmost_via() -> None:
    for value, branch in [
        ("SIP/2.0/UDP a, SIP/2.0/UDP b;branch=second", None),
        ('SIP/2.0/UDP a;x=";branch=evil";branch=good', "good"),
        ("SIP/2.0/UDP a;Branch = good", "good"),
        ("SIP/2.0/UDP a;rport", None),
    ]:
        message = request()
        message.headers.set("Via", [value, "SIP/2.0/UDP c;branch=third"])
        assert message.branch == branch == message.via.branch
    message.headers.remove("Via")
    with pytest.raises(RemoteProtocolError):
        _ = message.branch


@given(st.sampled_from(["From", "To", "Via"]), sip.sip_like_text)
def test_fast_and_whole_reading_agree(name: str, value: str) -> None:
    message = Request("BYE", "sip:x", Headers.parse(["", f"{name}: {value}".split("\r\n")[0]]))
    fast, whole, key = {
        "From": ("from_tag", "from_", "tag"),
        "To": ("to_tag", "to", "tag"),
        "Via": ("branch", "via", "branch"),
    }[name]
    try:
        expected = getattr(getattr(message, whole), key)
    except RemoteProtocolError:
        return
    assert getattr(message, fast) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("3600", 3600),
        ("99999999999999999999", 2**32 - 1),
        ("-1", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_expires_is_seconds_or_nothing(text: str, seconds: int | None) -> None:
    message = request()
    message.headers.set("Expires", text)
    assert message.expires == seconds


def test_octets_after_the_body_are_dropped() -> None:
    assert parse_message(octets(body=b"four") + b"INVITE evil").body == b"four"


def test_without_a_length_the_body_is_the_rest() -> None:
    data = INVITE + b"\r\nbody"
    message = parse_message(data)
    assert (message.body, message.serialise()) == (b"body", data)
    message.headers.add("X-A", "1")
    assert message.serialise() == INVITE + b"X-A: 1\r\nContent-Length: 4\r\n\r\nbody"


def test_line_breaks_before_the_start_line_are_skipped() -> None:
    assert parse_message(b"\r\n\r\n" + octets()).serialise() == octets()


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (b"Content-Length: 9999", "Content-Length is 9999"),
        (b"Content-Length: -1", "bad Content-Length"),
        (b"Content-Length: +1", "bad Content-Length"),
        (b"Content-Length: 0, 0", "bad Content-Length"),
        (b"Content-Length: 1_0", "bad Content-Length"),
        (b"Content-Length: \xd9\xa3", "bad Content-Length"),
        (b"Content-Length:", "bad Content-Length"),
        (b"l: " + b"9" * 5000, "bad Content-Length"),
        (b"Content-Length: 0\r\nContent-Length: 0", "more than one Content-Length"),
        (b"Content-Length: 0\r\nl: 7", "more than one Content-Length"),
    ],
)
def test_a_bad_length_is_answered_400(length: bytes, text: str) -> None:
    with pytest.raises(MalformedMessage, match=text) as caught:
        parse_message(INVITE + length + b"\r\n\r\n")
    assert caught.value.status == 400
    assert isinstance(caught.value.message, Request)
    answer = response_to(caught.value.message, 400, to_tag="t")
    assert answer.headers.get("Call-ID") == "00112233@127.0.10.9"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\0" * 100,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"INVITE sip:a@b\r\n\r\n",
        b" INVITE sip:a@b SIP/2.0\r\n\r\n",
        b"IN\xc3\x96ITE sip:a@b SIP/2.0\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\n\n",
        octets(b"X-Lone: \n: evil"),
        octets(b"X-Lone: \r: evil"),
        octets(b"X-Both: \r \n: evil"),
        octets(b"X-Nul: \0"),
        octets(b"X-Bell: \x07"),
        octets(b"X-Escaped: \\\n evil"),
    ],
)
def test_these_octets_are_no_message_and_have_no_answer(data: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_message(data)
    assert caught.value.message is None


@pytest.mark.parametrize(
    "start",
    [
        b"INVITE sip:user@example.com; lr SIP/2.0",
        b"INVITE  sip:2001@10.0.0.1  SIP/2.0",
        b"INVITE sip:2001@10.0.0.1 SIP/2.0  ",
        b"INVITE SIP/2.0",
        b"INVITE  SIP/2.0",
        b"INVITE \t SIP/2.0",
    ],
)
def test_a_bad_request_line_can_still_be_answered(start: bytes) -> None:
    with pytest.raises(MalformedMessage, match="bad request line") as caught:
        parse_message(INVITE.replace(b"INVITE sip:2001@10.0.0.1 SIP/2.0", start) + b"\r\n")
    assert isinstance(caught.value.message, Request)
    assert (caught.value.message.method, caught.value.message.cseq.number) == ("INVITE", 101)
    assert " " not in caught.value.message.uri


@pytest.mark.parametrize("row", [b"no colon", b"bad name: x", b": x"])
def test_a_bad_row_can_still_be_answered(row: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_message(octets(row))
    assert isinstance(caught.value.message, Request)
    validate_response(response_to(caught.value.message, 400, to_tag="t"))


def test_a_bad_row_beside_folds_or_in_no_request_has_no_answer() -> None:
    for data in (octets(b"X: folded", b" row", b"no colon"), b"\xff\r\nno colon\r\n\r\n"):
        with pytest.raises(MalformedMessage) as caught:
            parse_message(data)
        assert caught.value.message is None


def test_a_head_that_is_cut_off_can_still_be_answered() -> None:
    with pytest.raises(MalformedMessage, match="no empty line") as caught:
        parse_message(INVITE)
    assert caught.value.message is not None
    assert caught.value.message.call_id == "00112233@127.0.10.9"


@pytest.mark.parametrize(
    "status", [b"4294967301 x", b"099 x", b"700 x", b"20 x", b"2000 x", b"200", b"2 0 0 x", b"+20 x"]
)
def test_a_bad_status_line_is_a_response_that_nobody_answers(status: bytes) -> None:
    with pytest.raises(MalformedMessage, match="bad status line") as caught:
        response(status)
    assert isinstance(caught.value.message, Response)


def test_a_quoted_pair_may_hold_a_control_character() -> None:
    data = octets(b'X-Odd: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"', b"X-Tab:\ta\tb")
    assert parse_message(data).serialise() == data


@pytest.mark.parametrize("octet", [octet for octet in (*range(32), 127) if octet != 9])
def test_a_bare_control_character_ends_the_head(octet: int) -> None:
    with pytest.raises(MalformedMessage):
        parse_message(octets(b"X: a%cb" % octet))
    assert parse_message(octets(b"X: a\tb")).headers.get("X") == "a\tb"


def test_heads_are_bounded() -> None:
    assert (MAX_HEAD, MAX_ROWS) == (16384, 256)
    spare = MAX_HEAD - len(octets(b"X: ")) + 4
    parse_message(b"\r\n" + octets(b"X: " + b"x" * spare))
    with pytest.raises(MalformedMessage) as caught:
        parse_message(octets(b"X: " + b"x" * (spare + 1)))
    assert caught.value.status == 513
    with pytest.raises(MalformedMessage, match="header lines"):
        parse_message(octets(*[b"X: x"] * MAX_ROWS))
    with pytest.raises(MalformedMessage, match="header lines"):
        parse_message(octets(b"X: x" + b"\r\n x" * MAX_ROWS))
    parse_message(octets(*[b"X: x"] * (MAX_ROWS - 8)))  # the INVITE has 7, Content-Length is the last
    with pytest.raises(MalformedMessage, match="header lines"):
        parse_message(octets(*[b"X: x"] * (MAX_ROWS - 7)))


@given(sip.message_octets())
def test_an_unchanged_message_is_written_as_it_came(data: bytes) -> None:
    message = parse_message(data)
    assert message.serialise() == data
    assert parse_message(message.serialise()).headers == message.headers


@given(sip.message_octets(), st.binary(max_size=50))
def test_a_changed_body_gets_its_length(data: bytes, body: bytes) -> None:
    message = parse_message(data)
    message.body = body
    again = parse_message(message.serialise() + b"trailing")
    assert again.body == body
    assert again.headers.count("content-length") == 1
    message.headers.remove("Content-Length")
    assert parse_message(message.serialise() + b"trailing").body == body


def test_a_built_message_is_whole() -> None:
    message = Request("OPTIONS", "sip:x")
    message.headers.add("Via", str(Via("UDP", "10.0.0.1", 5060, {"branch": "z9hG4bK1"})))
    assert message.serialise() == (
        b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
    )
    assert Response(503).serialise() == b"SIP/2.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(NotImplementedError):
        Message().serialise()


def test_a_status_without_a_phrase_takes_that_of_its_class() -> None:
    assert (Response(499).reason, Response(299).reason, Response(150).reason) == ("Bad Request", "OK", "Trying")
    assert (Response(200, "").reason, Response(700).reason) == ("", "Session Progress")
    assert all(100 <= status < 700 for status in PHRASES)


def test_a_repr_shows_no_body_and_no_header() -> None:
    message = request(b'Authorization: Digest response="feedface"', body=b"a=crypto:1 secret")
    for text in (repr(message), repr(message.headers), repr(response())):
        assert "secret" not in text
        assert "feedface" not in text
    assert repr(message) == "<Request 'INVITE' 'sip:2001@10.0.0.1'>"


def test_an_answer_copies_what_it_must() -> None:
    message = request(
        b"v: SIP/2.0/UDP second;branch=2,\r\n SIP/2.0/UDP third", b"Timestamp: 54", b"Record-Route: <sip:x;lr>"
    )
    answer = response_to(message, 180, to_tag="mine")
    assert answer.headers.lines() == [
        "Via: SIP/2.0/TLS 127.0.10.9:51044;branch=z9hG4bK77",
        'From: "Alice" <sip:1001@10.0.0.1>;tag=a73',
        "To: <sip:2001@10.0.0.1>;tag=mine",
        "Call-ID: 00112233@127.0.10.9",
        "CSeq: 101 INVITE",
        "Via: SIP/2.0/UDP second;branch=2, SIP/2.0/UDP third",
    ]
    assert (answer.status, answer.reason) == (180, "Ringing")
    assert response_to(message, 100).headers.get("Timestamp") == "54"
    assert response_to(message, 100).to_tag is None
    validate_response(parse_message(answer.serialise()))  # type: ignore[arg-type]


def test_an_answer_keeps_a_tag_that_is_there() -> None:
    message = request()
    message.headers.set("To", "<sip:2001@10.0.0.1>;tag=theirs")
    assert response_to(message, 200, "Fine", to_tag="mine").to_tag == "theirs"
    message.headers.set("To", '"open <sip:x>')
    assert response_to(message, 400, to_tag="mine").headers.get("To") == '"open <sip:x>;tag=mine'
    message.headers.set("To", "nobody")
    assert response_to(message, 400, to_tag="mine").headers.get("To") == "nobody;tag=mine"
    message.headers.remove("To")
    assert "To" not in response_to(message, 400, to_tag="mine").headers


@given(st.one_of(st.binary(max_size=200), sip.sip_like, sip.sip_like.map(lambda tail: INVITE + tail + b"\r\n\r\n")))
def test_nothing_but_the_peers_error_comes_out(data: bytes) -> None:
    try:
        message = parse_message(data)
    except MalformedMessage as error:
        if isinstance(error.message, Request):
            response_to(error.message, error.status, to_tag="t").serialise()
        return
    try:
        validate_request(message) if isinstance(message, Request) else validate_response(message)
    except RemoteProtocolError:
        pass
    else:
        assert message.cseq.number >= 0
        assert message.call_id
        _ = message.from_tag, message.to_tag, message.branch, message.vias, message.contacts, message.contact_star
        _ = message.max_forwards, message.expires, message.content_type, list(message.headers.items())
    if isinstance(message, Request):
        parse_message(response_to(message, 400, to_tag="t").serialise())
    parse_message(message.serialise())
