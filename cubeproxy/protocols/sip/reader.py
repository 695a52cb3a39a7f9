"""Octets to messages (RFC 3261 7, 18.3, 25.1).

What is decided here is only what makes a message a message: its start line, its rows, its length. What the rows
mean is read on demand, and judged by `validate`. There is one way to read a head: a lone CR or LF, a control
character, a row without a colon or a second Content-Length end it.
"""

from __future__ import annotations

import re

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.grammar import decimal, excerpt, is_token
from cubeproxy.protocols.sip.headers import Headers, value_of
from cubeproxy.protocols.sip.model import MalformedMessage, Request, Response
from cubeproxy.protocols.sip.names import KEYS

MAX_HEAD = 16384  # octets; a 34-Via message with certificates in Identity still fits
MAX_BODY = 65536  # octets
MAX_ROWS = 256  # header lines, continuation lines included

_CONTROLS = bytes([*range(9), *range(10, 32), 127])  # line breaks among them
_BARE_CONTROL = re.compile(rb"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_STATUS = re.compile(r"(SIP/[0-9]+\.[0-9]+) ([1-6][0-9]{2}) ([^\r\n]*+)", re.ASCII | re.IGNORECASE)
_METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "INFO", "UPDATE", "REFER", "NOTIFY"})
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.ASCII | re.IGNORECASE)
_LARGEST_LENGTH = 10**10 - 1

Fault = MalformedMessage | None


def parse_message(data: bytes) -> Request | Response:
    """One datagram, or one whole message. `MalformedMessage` carries what could be read of it.

    Line breaks before the start line are skipped (RFC 3261 7.5), octets after Content-Length dropped (18.3).
    """
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        raise MalformedMessage("no empty line after the headers", message=_salvage(data[start : start + MAX_HEAD]))
    if end - start > MAX_HEAD:
        raise MalformedMessage(f"more than {MAX_HEAD} octets of headers", 513)
    message, fault = read_head(data[start:end])
    body = data[end + 4 :]
    length = content_length(message)
    if length is None:
        message.body = message.bare = body
    elif length > len(body):
        raise MalformedMessage(f"Content-Length is {length}, the body {len(body)} octets", message=message)
    else:
        message.body = body[:length]
    if fault is not None:
        raise fault
    return message


def _salvage(head: bytes) -> Request | Response | None:
    """What a head that was cut off says, to answer it by."""
    try:
        return read_head(head.removesuffix(b"\r\n"))[0]
    except MalformedMessage:
        return None


def read_head(head: bytes) -> tuple[Request | Response, Fault]:
    """The message without its body. A bad start line is a fault beside it, as the length of it all is still known.

    Bad rows raise: nothing after them can be trusted, the length least of all.
    """
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    breaks = len(lines) - 1
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * breaks:
        _check_controls(head, breaks)
    if breaks > MAX_ROWS:
        raise MalformedMessage(f"more than {MAX_ROWS} header lines")
    try:
        headers = Headers.parse(lines)
    except RemoteProtocolError as error:
        raise MalformedMessage(str(error), message=_answerable(lines)) from None
    return _read_start_line(lines[0], headers)


def _check_controls(head: bytes, breaks: int) -> None:
    """Only a quoted-pair may hold a control character (RFC 3261 25.1), and never a line break."""
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks:
        raise MalformedMessage("a lone CR or LF in the headers")
    if _BARE_CONTROL.search(head):
        raise MalformedMessage("a control character in the headers")


def _answerable(lines: list[str]) -> Request | Response | None:
    """The well-known rows beside a bad one, for the answer; nothing where folds leave open what belongs to what."""
    if any(line[:1] in ("", " ", "\t") for line in lines):
        return None
    headers = Headers.parse(lines[:1] + [line for line in lines if ":" in line and line.partition(":")[0] in KEYS])
    try:
        return _read_start_line(lines[0], headers)[0]
    except MalformedMessage:
        return None


def _read_start_line(line: str, headers: Headers) -> tuple[Request | Response, Fault]:
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if version == "SIP/2.0" and uri and " " not in uri and "\t" not in uri and (method in _METHODS or is_token(method)):
        return Request(method, uri, headers), None
    if method[:4].upper() == "SIP/":
        return _read_status_line(line, headers)
    return _read_odd_request_line(line, headers)


def _read_status_line(line: str, headers: Headers) -> tuple[Response, Fault]:
    found = _STATUS.fullmatch(line)
    if found is None:
        response = Response(400, "", headers)
        return response, MalformedMessage(f"bad status line: {excerpt(line)}", message=response)
    return Response(int(found[2]), found[3], headers, version=found[1]), None


def _read_odd_request_line(line: str, headers: Headers) -> tuple[Request, Fault]:
    """Another version is for `validate` to answer; anything else is a fault with the nearest request beside it."""
    words = line.split(" ")
    if not is_token(words[0]):
        raise MalformedMessage(f"no SIP message: {excerpt(line)}")
    if len(words) == 3 and words[1] and "\t" not in words[1] and _VERSION.fullmatch(words[2]):
        return Request(words[0], words[1], headers, version=words[2]), None
    if not any(_VERSION.fullmatch(word) for word in words):
        raise MalformedMessage(f"no SIP message: {excerpt(line)}")
    request = Request(words[0], "".join(words[1:-1]), headers)
    return request, MalformedMessage(f"bad request line: {excerpt(line)}", message=request)


def content_length(message: Request | Response) -> int | None:
    """Octets; None without the header. Two rows of it are an error even when they agree (one view only)."""
    rows = message.headers.count("content-length")
    if not rows:
        return None
    if rows > 1:
        raise MalformedMessage("more than one Content-Length", message=message)
    text = value_of(message.headers.first_row("content-length") or "")
    length = decimal(text, _LARGEST_LENGTH)
    if length is None:
        raise MalformedMessage(f"bad Content-Length: {excerpt(text)}", message=message)
    return length
