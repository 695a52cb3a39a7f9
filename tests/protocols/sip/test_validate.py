"""Which requests and responses are fit to be processed (RFC 3261 8.1.1, 8.2; RFC 4475)."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import response_to, validate_request, validate_response
from tests.protocols.sip.builders import request, response


def test_a_good_request_passes() -> None:
    validate_request(request())
    validate_request(request(b"v: SIP/2.0/UDP b, SIP/2.0/UDP c", b"Route: <sip:x;lr>,<sip:y;lr>", b"Route: <sip:z>"))
    validate_request(request(b"Contact: *", without=b"Contact"))
    validate_request(request(b"CSeq: 2147483647 INVITE", without=b"CSeq"))


@pytest.mark.parametrize("name", [b"Max-Forwards", b"Contact"])
def test_these_may_be_missing(name: bytes) -> None:
    validate_request(request(without=name))


def test_elements_of_rfc_2543_are_let_through() -> None:
    """No From tag, no magic cookie (RFC 3261 12.1.1, 17.2.3)."""
    validate_request(request(b"From: <sip:a@b>", without=b"From"))
    validate_request(request(b"Via: SIP/2.0/UDP old", without=b"Via"))


@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_these_may_not_be_missing(name: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{name.decode()} is missing") as caught:
        validate_request(request(without=name))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "row",
    [
        b"f: <sip:a@b>;tag=2",
        b"To: <sip:a@b>",
        b"i: other",
        b"CSeq: 101 INVITE",
        b"Max-Forwards: 70",
        b"Content-Type: a/b\r\nc: a/b",
        b"Expires: 1\r\nExpires: 1",
    ],
)
def test_these_may_not_come_twice(row: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="more than one"):
        validate_request(request(row))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CSeq", "101 BYE"),
        ("CSeq", "101 invite"),
        ("CSeq", "2147483648 INVITE"),
        ("CSeq", "36893488147419103232 INVITE"),
        ("CSeq", "-1 INVITE"),
        ("CSeq", "INVITE"),
        ("CSeq", "101"),
        ("Call-ID", "two words"),
        ("Call-ID", ""),
        ("From", '"open <sip:a@b>'),
        ("From", "<sip:a@b>;tag"),
        ("To", '<sip:a@b>;tag="quoted"'),
        ("To", "<sip:a@b>, <sip:c@d>"),
        ("Via", "SIP/2.0/UDP a;;"),
        ("Via", "SIP/2.0/UDP a,"),
        ("Contact", "<sip:a@b>;;"),
        ("Route", "<sip:a@b>,"),
        ("Record-Route", "sip"),
        ("Max-Forwards", "256"),
        ("Max-Forwards", "-1"),
        ("Max-Forwards", "many"),
    ],
)
def test_a_bad_value_is_answered_400(name: str, value: str) -> None:
    message = request()
    message.headers.set(name, value)
    with pytest.raises(RemoteProtocolError) as caught:
        validate_request(message)
    assert caught.value.status == 400
    response_to(message, 400, to_tag="t")


def test_every_via_is_read() -> None:
    for rows in (["SIP/2.0/UDP a", "bad"], ["SIP/2.0/UDP a, bad"]):
        message = request()
        message.headers.set("Via", rows)
        with pytest.raises(RemoteProtocolError, match="bad Via"):
            validate_request(message)


def test_the_request_uri_is_read_but_its_scheme_is_for_the_caller() -> None:
    message = request()
    for uri in ("<sip:a@b>", "sip:a@b?Route=%3Csip:evil%3E", "sip:"):
        message.uri = uri
        with pytest.raises(RemoteProtocolError) as caught:
            validate_request(message)
        assert caught.value.status == 400
    message.uri = "nobodyKnowsThisScheme:totallyopaquecontent"
    validate_request(message)


def test_another_version_is_answered_505() -> None:
    message = request()
    message.version = "SIP/7.0"
    with pytest.raises(RemoteProtocolError) as caught:
        validate_request(message)
    assert caught.value.status == 505
    message.version = "sip/2.0"
    validate_request(message)


def test_responses_are_judged_alike() -> None:
    message = response()
    validate_response(message)
    message.version = "SIP/3.0"
    with pytest.raises(RemoteProtocolError):
        validate_response(message)
    message.version = "SIP/2.0"
    message.headers.set("CSeq", "9292394834772304023312 INVITE")
    with pytest.raises(RemoteProtocolError):
        validate_response(message)
