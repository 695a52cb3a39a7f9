"""The public torture and flow corpora with the outcomes of their manifest (RFC 4475, RFC 5118, and call flows).

Of the outcomes that an element may show, the grammar decides 400, 505, "drop" of a response and, with "process",
that nothing stands in the way of more. What a running element decides is listed in ELSEWHERE, with what decides it;
here such a message must read well and pass `validate`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.framer import Framer
from cubeproxy.protocols.sip.message import (
    MalformedMessage,
    Message,
    Request,
    Response,
    parse_message,
    response_to,
    validate_request,
    validate_response,
)
from cubeproxy.protocols.sip.uri import Uri, unescape

ELSEWHERE = {
    401: "the registrar challenges",
    404: "the registrar or location service does not know the user",
    405: "the element does not serve this method",
    406: "the answerer cannot make a body that is accepted",
    415: "the border needs SDP",
    416: "the border routes sip, sips and tel only",
    420: "the border compares Require with what it supports",
    481: "no dialog matches",
    483: "the border would forward and Max-Forwards is 0",
    501: "the element does not know this method",
    "process": "nothing to refuse",
    "any": "anything but a crash",
    "close": "the framer's fatal error, in the stream cases below",
}


def cases(kind: str, *groups: str) -> list[Any]:
    """Without the corpora one case stays, which skips and says why."""
    folder = os.environ.get("CUBEPROXY_CORPORA", "")
    if not folder:
        return [pytest.param({}, id="no-corpora")]
    manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    return [
        pytest.param(case, id=case["id"])
        for case in manifest["cases"]
        if case["kind"] == kind and case["id"].startswith(groups)
    ]


def octets(corpora: Path, case: dict[str, Any]) -> bytes:
    data: bytes = (corpora / case["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == case["sha256"], "this is not the file that the manifest speaks of"
    return data


def judge(data: bytes) -> tuple[Request | Response | None, RemoteProtocolError | None]:
    """The message as far as it can be read, and what is wrong with it."""
    try:
        message = parse_message(data)
    except MalformedMessage as error:
        return error.message, error
    try:
        validate_request(message) if isinstance(message, Request) else validate_response(message)
    except RemoteProtocolError as error:
        return message, error
    return message, None


def request(message: Message) -> Request:
    assert isinstance(message, Request)
    return message


def response(message: Message) -> Response:
    assert isinstance(message, Response)
    return message


FIELDS: dict[str, Callable[[Message], object]] = {
    "type": lambda message: type(message).__name__.lower(),
    "method": lambda message: request(message).method,
    "ruri": lambda message: request(message).uri,
    "ruri_host": lambda message: Uri.parse(request(message).uri).host,
    "ruri_port": lambda message: Uri.parse(request(message).uri).port,
    "ruri_user_unescaped": lambda message: unescape(Uri.parse(request(message).uri).user),
    "status": lambda message: response(message).status,
    "reason": lambda message: response(message).reason,
    "call_id": lambda message: message.call_id,
    "cseq_num": lambda message: message.cseq.number,
    "cseq_method": lambda message: message.cseq.method,
    "from_tag": lambda message: message.from_tag,
    "to_tag": lambda message: message.to_tag,
    "via_count": lambda message: len(message.vias),
    "contact_count": lambda message: len(message.contacts) + message.contact_star,
    "route_count": lambda message: len(message.headers.all("Route")),
    "record_route_count": lambda message: len(message.headers.all("Record-Route")),
    "max_forwards": lambda message: message.max_forwards,
    "content_length": lambda message: int(message.headers.get("Content-Length") or "0"),
    "body_len": lambda message: len(message.body),
}


def check_fields(message: Message, asserts: dict[str, object]) -> None:
    expected = {name: value for name, value in asserts.items() if name != "must_not_forward_substring"}
    assert {name: FIELDS[name](message) for name in expected} == expected


@pytest.mark.parametrize("case", cases("sip", "rfc4475/", "rfc5118/", "flows/"))
def test_a_message_is_read_as_the_manifest_says(corpora: Path, case: dict[str, Any]) -> None:
    data = octets(corpora, case)
    expect = case["expect"]
    message, error = judge(data)
    if expect["parse"] == "accept":
        assert error is None
    elif expect["parse"] == "reject":
        assert error is not None
    if error is None:
        assert message is not None
        check_accepted(message, data, expect)
    else:
        check_refused(message, error, expect["element"])


def check_accepted(message: Request | Response, data: bytes, expect: dict[str, Any]) -> None:
    """Fields as stated, outcome left open, octets unchanged, and an answer that anybody can read."""
    assert any(outcome in ELSEWHERE or outcome in ("drop", 400) for outcome in expect["element"])
    check_fields(message, expect["asserts"])
    assert data.startswith(message.serialise())
    if forbidden := expect["asserts"].get("must_not_forward_substring"):
        assert forbidden not in message.start_line
    if isinstance(message, Request):
        validate_response(response(parse_message(response_to(message, 200, to_tag="t").serialise())))


def check_refused(message: Request | Response | None, error: RemoteProtocolError, outcomes: list[object]) -> None:
    """The status is one that the manifest allows, and there is something to answer with; a response is dropped."""
    if isinstance(message, Response):
        assert {"drop", "any"} & set(outcomes)
        return
    assert error.status in outcomes or "any" in outcomes
    if message is not None:
        answer = response_to(message, error.status, to_tag="t")
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            assert (name in answer.headers) == (name in message.headers)
        parse_message(answer.serialise())
    else:
        assert "any" in outcomes


@pytest.mark.parametrize("case", cases("sip-stream", "rfc4475-tcp/"))
def test_a_stream_is_framed_as_the_manifest_says(corpora: Path, case: dict[str, Any]) -> None:
    data = octets(corpora, case)
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        framer = Framer()
        items = [item for piece in pieces for item in framer.receive(piece)]
        match case["expect"]["stream"]:
            case "need_more_then_timeout":
                assert (items, framer.pending) == ([], True)
            case "close":
                assert isinstance(items[-1], RemoteProtocolError)
                assert items[-1].fatal
            case "two_messages":
                count = case["messages"]
                assert [type(item) for item in items[:count]] == [Request] * count
                # The file has five octets more than its last Content-Length: they begin no message.
                assert [type(item) for item in items[count:]] == [MalformedMessage]
            case other:
                raise AssertionError(f"no rule for {other}")


@pytest.mark.parametrize("case", cases("sip", "rfc4475/", "rfc5118/", "flows/"))
def test_a_stream_gives_the_same_view_as_a_datagram(corpora: Path, case: dict[str, Any]) -> None:
    """Where the length is stated and right, what is one message in a datagram is the same one on a stream."""
    data = octets(corpora, case)
    message, _ = judge(data)
    first = next(iter(Framer().receive(data)), None)
    if message is None or not isinstance(first, Request | Response):
        return
    assert first.serialise() == message.serialise()
    assert type(first) is type(message)
