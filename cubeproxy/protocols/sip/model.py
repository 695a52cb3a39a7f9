"""Messages as values: a start line, header rows and a body (RFC 3261 7).

Typed views of the headers (`cseq`, `from_`, `via`, ...) are made when they are asked for and kept, in `Headers.views`,
as long as the row they came from stands; they raise `RemoteProtocolError` when the row is bad. A message never shows
its body or credentials in a repr: bodies carry SRTP keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.grammar import LWS, TOKEN, decimal, excerpt, split_list
from cubeproxy.protocols.sip.headers import Headers, value_of
from cubeproxy.protocols.sip.names import LONG
from cubeproxy.protocols.sip.reasons import phrase
from cubeproxy.protocols.sip.uri import NameAddr, Via

T = TypeVar("T")

VERSION = "SIP/2.0"
LARGEST_SEQUENCE = 2**31 - 1  # RFC 3261 8.1.1.5
LARGEST_DELTA = 2**32 - 1  # delta-seconds, RFC 3261 20.19

_CSEQ = re.compile(rf"([0-9]++)[ \t]++({TOKEN})", re.ASCII)
_TAG = re.compile(rf";[ \t]*+tag[ \t]*+=[ \t]*+({TOKEN})", re.ASCII | re.IGNORECASE)
_BRANCH = re.compile(rf";[ \t]*+branch[ \t]*+=[ \t]*+({TOKEN})", re.ASCII | re.IGNORECASE)
_CALL_ID = re.compile(r"[!-~]++", re.ASCII)


@dataclass(slots=True)
class CSeq:
    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        found = _CSEQ.fullmatch(text)
        number = decimal(found[1], LARGEST_SEQUENCE) if found else None
        if found is None or number is None:
            raise RemoteProtocolError(f"bad CSeq: {excerpt(text)}")
        return cls(number, found[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _parse_call_id(text: str) -> str:
    if not _CALL_ID.fullmatch(text):
        raise RemoteProtocolError(f"bad Call-ID: {excerpt(text)}")
    return text


def _parse_top_via(text: str) -> Via:
    return Via.parse(split_list(text)[0])


def _parse_max_forwards(text: str) -> int:
    value = decimal(text, 255)
    if value is None:
        raise RemoteProtocolError(f"bad Max-Forwards: {excerpt(text)}")
    return value


def _parse_type(text: str) -> str:
    return text.partition(";")[0].strip(LWS).lower()


class Message:
    """What requests and responses share."""

    __slots__ = ("bare", "body", "headers")

    def __init__(self, headers: Headers | None = None, body: bytes = b"") -> None:
        self.headers = Headers() if headers is None else headers
        self.body = body
        self.bare: bytes | None = None  # the body of a datagram that came without Content-Length

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    def serialise(self) -> bytes:
        """The octets for the wire; exactly those received as long as nothing was changed.

        Content-Length is put right or added, except for an unchanged datagram that had none.
        """
        rows = self.headers.lines()
        length, right = self.headers.first_row("content-length"), f"Content-Length: {len(self.body)}"
        if length is None:
            if self.headers.changed or self.bare is not self.body:
                rows = [*rows, right]
        elif length != right and decimal(value_of(length), len(self.body)) != len(self.body):
            headers = self.headers.copy()
            headers.set("content-length", str(len(self.body)))
            rows = headers.lines()
        return "\r\n".join((self.start_line, *rows, "", "")).encode("utf-8", "surrogateescape") + self.body

    def _typed(self, key: str, parse: Callable[[str], T]) -> T:
        views = self.headers.views
        value: T | None = views.get(key)
        if value is None:
            row = self.headers.first_row(key)
            if row is None:
                raise RemoteProtocolError(f"{LONG[key]} is missing")
            value = views[key] = parse(value_of(row))
        return value

    @property
    def call_id(self) -> str:
        read: str | None = self.headers.views.get("call-id")
        return self._typed("call-id", _parse_call_id) if read is None else read

    @property
    def cseq(self) -> CSeq:
        read: CSeq | None = self.headers.views.get("cseq")
        return self._typed("cseq", CSeq.parse) if read is None else read

    @property
    def from_(self) -> NameAddr:
        return self._typed("from", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        return self._typed("to", NameAddr.parse)

    @property
    def via(self) -> Via:
        """The topmost one."""
        read: Via | None = self.headers.views.get("via")
        return self._typed("via", _parse_top_via) if read is None else read

    @property
    def vias(self) -> list[Via]:
        return [Via.parse(text) for text in self.headers.all("via")]

    @property
    def branch(self) -> str | None:
        """The branch of the topmost Via, without reading all of it."""
        via: Via | None = self.headers.views.get("via")
        if via is not None:
            return via.branch
        row = self.headers.first_row("via")
        if row is None or "," in row or '"' in row or "\n" in row:
            return self.via.branch
        found = _BRANCH.search(row)
        return found[1] if found else None

    @property
    def from_tag(self) -> str | None:
        return self._tag("from")

    @property
    def to_tag(self) -> str | None:
        return self._tag("to")

    def _tag(self, key: str) -> str | None:
        """Of the value where it has been read; else by pattern where the row can be read in one way only.

        Behind the last `>` and without a quote after it, nothing but parameters can stand.
        """
        value: NameAddr | None = self.headers.views.get(key)
        if value is not None:
            return value.tag
        row = self.headers.first_row(key)
        if row is None:
            return None
        bracket = row.rfind(">")
        if bracket < 0 or row.rfind('"') > bracket or "\n" in row:
            return (self.from_ if key == "from" else self.to).tag
        found = _TAG.search(row, bracket)
        return found[1] if found else None

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact but `*`."""
        views = self.headers.views
        found: list[NameAddr] | None = views.get("contact")
        if found is None:
            texts = self.headers.all("contact")
            found = views["contact"] = [NameAddr.parse(text) for text in texts if text != "*"] if texts else []
        return found

    @property
    def contact_star(self) -> bool:
        """Whether a Contact is `*` (RFC 3261 10.2.2)."""
        return "*" in self.headers.all("contact")

    @property
    def content_type(self) -> str:
        """The media type in lower case, without its parameters; "" when there is none."""
        return self._typed("content-type", _parse_type) if self.headers.count("content-type") else ""

    @property
    def max_forwards(self) -> int | None:
        """None when the header is absent: the check then passes (RFC 3261 16.3)."""
        return self._typed("max-forwards", _parse_max_forwards) if self.headers.count("max-forwards") else None

    @property
    def expires(self) -> int | None:
        """Seconds; None when absent or malformed, capped at 2**32-1 (RFC 3261 20.19)."""
        return delta_seconds(self.headers.get("expires"))


def delta_seconds(text: str | None) -> int | None:
    """Digits as seconds, capped at 2**32-1; None for anything else."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    value = decimal(text, LARGEST_DELTA)
    return LARGEST_DELTA if value is None else value


class Request(Message):
    """`uri` is the Request-URI as written."""

    __slots__ = ("method", "uri", "version")

    def __init__(
        self, method: str, uri: str, headers: Headers | None = None, body: bytes = b"", version: str = VERSION
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri
        self.version = version

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} {self.version}"

    def __repr__(self) -> str:
        return f"<Request {excerpt(self.method)} {excerpt(self.uri)}>"


class Response(Message):
    """`reason` None takes the default phrase."""

    __slots__ = ("reason", "status", "version")

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        headers: Headers | None = None,
        body: bytes = b"",
        version: str = VERSION,
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = phrase(status) if reason is None else reason
        self.version = version

    @property
    def start_line(self) -> str:
        return f"{self.version} {self.status} {self.reason}"

    def __repr__(self) -> str:
        return f"<Response {self.status} {excerpt(self.reason)}>"


class MalformedMessage(RemoteProtocolError):
    """Octets that are no SIP message. `message` is as much of it as could be read, to build the answer from."""

    def __init__(
        self,
        text: str,
        status: int = 400,
        *,
        message: Request | Response | None = None,
        fatal: bool = False,
    ) -> None:
        super().__init__(text, status, fatal=fatal)
        self.message = message
