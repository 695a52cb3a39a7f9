"""Commands as an engine reads them, and its replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.ng.bencode import encode
from cubeproxy.protocols.ng.messages import (
    Answer,
    Command,
    Delete,
    Offer,
    Option,
    Ping,
    Query,
    Reply,
    Statistics,
    read,
    read_request,
    write,
)

OPTIONS: dict[str, Option] = {
    "ICE": "remove", "flags": ("asymmetric", "trust-address"), "codec": {"mask": ("PCMA",)}, "ptime": 20,
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Ping(), {b"command": b"ping"}),
        (Statistics(), {b"command": b"statistics"}),
        (Query("c"), {b"command": b"query", b"call-id": b"c"}),
        (Delete("c"), {b"command": b"delete", b"call-id": b"c", b"delete-delay": 0}),
    ],
)
def test_a_command_says_what_it_is(command: Command, said: dict[bytes, object]) -> None:
    assert read_request(write(b"7", command)) == (b"7", command.command, said)


@pytest.mark.parametrize("kind", [Offer, Answer])
def test_a_description_says_who_speaks_to_whom(kind: type[Offer | Answer]) -> None:
    _cookie, command, said = read_request(write(b"7", kind("c", "a", "b", "RTP/SAVP", b"v=0\r\n", OPTIONS)))
    assert command == kind.command
    assert said == {
        b"command": command.encode(), b"call-id": b"c", b"from-tag": b"a", b"to-tag": b"b",
        b"transport-protocol": b"RTP/SAVP", b"sdp": b"v=0\r\n", b"ICE": b"remove",
        b"flags": [b"asymmetric", b"trust-address"], b"codec": {b"mask": [b"PCMA"]}, b"ptime": 20,
    }  # fmt: skip


def test_the_first_offer_has_no_other_tag() -> None:
    assert b"to-tag" not in read_request(write(b"7", Offer("c", "a", "", "RTP/AVP", b"")))[2]


def test_no_key_shows() -> None:
    line = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET"
    assert "SECRET" not in repr(Offer("c", "a", "b", "RTP/SAVP", line))
    assert "SECRET" not in repr(read(b"7 " + encode({b"result": b"ok", b"sdp": line})))


def test_replies() -> None:
    cookie, reply = read(b"c0ffee d6:result4:ponge")
    assert (cookie, reply.good, reply.busy, reply.sdp) == (b"c0ffee", True, False, b"")
    bad = read(b"7 " + encode({b"result": b"error", b"error-reason": b"Unknown call-id"}))[1]
    assert (bad.good, bad.reason) == (False, "Unknown call-id")
    assert read(b"7 " + encode({b"result": b"load limit"}))[1].busy


def test_a_number_in_a_reply() -> None:
    reply = Reply("ok", "", {b"a": {b"b": 3, b"c": b"text", b"d": b"360", b"e": b"9" * 99}})
    assert [reply.number("a", "b"), reply.number("a", "c"), reply.number("a", "b", "d"), reply.number("x")] == [
        3,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    "datagram",
    [
        b"", b"7", b" d6:result2:oke", b"7 ", b"7 le", b"7 i1e", b"7 de", b"7 d6:resulti1ee", b"\x00 d6:result2:oke",
        b"a" * 200 + b" d6:result2:oke", b"7  d6:result2:oke", b"7 d6:result2:oke\n",
    ],
)  # fmt: skip
def test_what_is_no_reply_is_refused(datagram: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(datagram)


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_request(b"7 d7:commandi1ee")


@given(st.binary(max_size=100), st.booleans())
def test_nothing_but_its_own_error_comes_out(data: bytes, dictionary: bool) -> None:
    try:
        read(b"7 " + (encode({b"result": data, b"sdp": data}) if dictionary else data))
    except RemoteProtocolError:
        assert not dictionary
