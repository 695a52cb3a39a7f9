"""SIP URIs and the two values built on hosts and URIs: name-addr (From, To, Contact, Route) and Via.

RFC 3261 19.1, 20.10, 20.42; IPv6 by RFC 5118. The values are read, compared and written; treat them as immutable
(`replace`): they are not frozen because that costs four times as much to make, and they are cached, by
the message they came from, and URIs and name-addrs by their text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.grammar import (
    HOST,
    LWS,
    QUOTED,
    TOKEN,
    Params,
    excerpt,
    format_params,
    parse_params,
    quote,
    unquote,
)

# `#` is not in the grammar of user, but phones dial it unescaped; nothing else can be meant by it there.
_USER = r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%#]++"
_PASSWORD = r"[A-Za-z0-9\-_.!~*'()&=+$,%]*+"  # noqa: S105
_PARAM_CHARS = r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]"
_HEADERS = r"[A-Za-z0-9\-_.!~*'()\[\]/?:+$%=&]*+"
_SIP = re.compile(
    rf"([Ss][Ii][Pp][Ss]?):(?:({_USER})(?::({_PASSWORD}))?@)?({HOST})(?::([0-9]{{1,5}}))?"
    rf"((?:;{_PARAM_CHARS}++(?:={_PARAM_CHARS}*+)?+)*+)(?:\?({_HEADERS}))?",
    re.ASCII,
)
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):([!#-;=?-~]++)", re.ASCII)
_TEL = re.compile(r"([0-9A-Fa-f*#().+\-]++)((?:;[!-:=-~]++)*+)", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)
_REMEMBERED = 1024  # of each: a call names the same few a dozen times
_LONGEST_REMEMBERED = 256  # characters: what a peer makes us remember is bounded
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")

# RFC 3261 19.1.4: in one URI only, these make a difference even with their default value.
_DECISIVE = frozenset({"user", "ttl", "method", "maddr", "transport"})


def check_host(host: str) -> str:
    """The host, when its IPv6 reference is one (RFC 3261 25.1).

    The erratum of RFC 5118 4.10 (three colons before an embedded IPv4 address) is accepted and put right.
    """
    if host[0] != "[":
        return host
    literal = host[1:-1]
    if "." in literal and literal.count(":::") == 1:
        literal = literal.replace(":::", "::")
    try:
        IPv6Address(literal)
    except ValueError:
        raise RemoteProtocolError(f"bad IPv6 reference: {excerpt(host)}") from None
    return f"[{literal}]"


def unbracket(host: str) -> str:
    """A host as sockets take it: without the brackets of an IPv6 reference."""
    return host[1:-1] if host[:1] == "[" else host


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    number = int(text)
    if number > 65535:
        raise RemoteProtocolError(f"port {number} is out of range")
    return number


def unescape(text: str) -> str:
    """Undo %-escapes; octets that are no UTF-8 become surrogates, as in all SIP text here."""
    if "%" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    try:
        return raw.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # text from elsewhere already holds wider characters
        return raw


def _same_escapes(text: str) -> str:
    """One spelling of user or header text: escapes that need not be are undone, the others in upper case."""

    def one(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if character in _UNRESERVED else found[0].upper()

    return _ESCAPE.sub(one, text)


@dataclass(slots=True)
class Uri:
    """`sip:`, `sips:` and `tel:` in their parts; any other scheme as `opaque` text.

    `user`, `password`, `headers` and parameter values are as written (with their %-escapes), parameter names in
    lower case. `host` keeps the brackets of an IPv6 reference (`unbracket`). "" stands for an absent part.
    """

    scheme: str
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: int | None = None
    params: Params = field(default_factory=dict)
    headers: str = ""
    opaque: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> Uri:
        found = _SIP.fullmatch(text)
        if found is None:
            return cls._parse_other(text)
        scheme, user, password, host, port, params, headers = found.groups()
        if "%" in text and _BAD_ESCAPE.search(text):
            raise RemoteProtocolError(f"bad %-escape in URI: {excerpt(text)}")
        return cls(
            scheme.lower(),
            user or "",
            password or "",
            check_host(host),
            _port(port),
            _uri_params(params) if params else {},
            headers or "",
        )

    @classmethod
    def _parse_other(cls, text: str) -> Uri:
        found = _OTHER.fullmatch(text)
        scheme = found[1].lower() if found else ""
        if found is None or scheme in ("sip", "sips"):
            raise RemoteProtocolError(f"bad URI: {excerpt(text)}")
        if scheme == "tel" and (number := _TEL.fullmatch(found[2])):
            return cls("tel", user=number[1], params=_uri_params(number[2]))
        return cls(scheme, opaque=found[2])

    def __str__(self) -> str:
        if self.scheme not in ("sip", "sips"):
            return f"{self.scheme}:{self.opaque or self.user}{format_params(self.params)}"
        password = f":{self.password}" if self.password else ""
        user = f"{self.user}{password}@" if self.user else ""
        port = "" if self.port is None else f":{self.port}"
        params = format_params(self.params) if self.params else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{params}{headers}"

    def replace(self, **changes: Any) -> Uri:
        """A copy with other parts; the parameters are a copy as well."""
        copy = Uri(
            self.scheme, self.user, self.password, self.host, self.port, dict(self.params), self.headers, self.opaque
        )
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    @property
    def transport(self) -> str:
        """The transport parameter in lower case, "" without one."""
        return (self.params.get("transport") or "").lower()

    def equals(self, other: Uri) -> bool:
        """RFC 3261 19.1.4."""
        return (
            self.scheme == other.scheme
            and self.port == other.port
            and _same_escapes(self.user) == _same_escapes(other.user)
            and _same_escapes(self.password) == _same_escapes(other.password)
            and _same_host(self.host) == _same_host(other.host)
            and self.opaque == other.opaque
            and _same_params(self.params, other.params)
            and _same_headers(self.headers) == _same_headers(other.headers)
        )


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> Uri:
    return Uri._parse(text)


def _uri_params(text: str) -> Params:
    params: Params = {}
    for piece in text[1:].split(";") if text else ():
        name, equals, value = piece.partition("=")
        name = name.lower()
        if name in params:
            raise RemoteProtocolError(f"URI parameter {excerpt(name)} is given twice")
        params[name] = value if equals else None
    return params


def _same_host(host: str) -> str:
    return IPv6Address(host[1:-1]).compressed if host[:1] == "[" else host.lower()


def _same_params(one: Params, two: Params) -> bool:
    for name in one.keys() | two.keys():
        if name in one and name in two:
            if _same_escapes(one[name] or "").lower() != _same_escapes(two[name] or "").lower():
                return False
        elif name in _DECISIVE:
            return False
    return True


def _same_headers(text: str) -> list[tuple[str, str]]:
    pairs = (piece.partition("=") for piece in text.split("&"))
    return sorted((_same_escapes(name).lower(), _same_escapes(value)) for name, _, value in pairs)


_DISPLAY = re.compile(rf'[ \t]*+(?:({QUOTED})[ \t]*+|([^"<>,;\x00-\x08\x0a-\x1f\x7f]*+))<([^<>]*+)>[ \t]*+', re.ASCII)
_PLAIN_DISPLAY = re.compile(rf"{TOKEN}(?: {TOKEN})*+", re.ASCII)


@dataclass(slots=True)
class NameAddr:
    """`[display-name] <URI>` or a bare URI, with header parameters (RFC 3261 20.10, 25.1).

    `display` is the text meant, without quotes and escapes; writing quotes it again when it is no row of tokens.
    """

    display: str
    uri: Uri
    params: Params = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        return _remembered_addr(text) if len(text) <= _LONGEST_REMEMBERED else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> NameAddr:
        found = _DISPLAY.match(text)
        if found is None:
            return cls._parse_bare(text)
        quoted, plain, uri = found.groups()
        display = unquote(quoted) if quoted is not None else plain.strip(LWS)
        end = found.end()
        return cls(display, Uri.parse(uri), parse_params(text, end) if end < len(text) else {})

    @classmethod
    def _parse_bare(cls, text: str) -> NameAddr:
        """Without brackets, what follows the first semicolon belongs to the header, not to the URI (20.10)."""
        text = text.strip(LWS)
        if '"' in text[:1] or "<" in text or ">" in text:
            raise RemoteProtocolError(f"bad name-addr: {excerpt(text)}")
        addr, semicolon, _ = text.partition(";")
        addr = addr.rstrip(LWS)
        if "?" in addr or "," in addr:
            raise RemoteProtocolError(f"this URI must stand in angle brackets: {excerpt(text)}")
        return cls("", Uri.parse(addr), parse_params(text, text.index(";")) if semicolon else {})

    def __str__(self) -> str:
        display = self.display
        if display:
            display = f"{display} " if _PLAIN_DISPLAY.fullmatch(display) else f"{quote(display)} "
        return f"{display}<{self.uri}>{format_params(self.params)}"

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")


@lru_cache(_REMEMBERED)
def _remembered_addr(text: str) -> NameAddr:
    return NameAddr._parse(text)


_VIA = re.compile(
    rf"({TOKEN})[ \t]*+/[ \t]*+({TOKEN})[ \t]*+/[ \t]*+({TOKEN})[ \t]++({HOST})(?:[ \t]*+:[ \t]*+([0-9]{{1,5}}))?+",
    re.ASCII,
)


@dataclass(slots=True)
class Via:
    """One hop (RFC 3261 20.42). `transport` is the token as written; ours are those of `values.Transport`."""

    transport: str
    host: str
    port: int | None = None
    params: Params = field(default_factory=dict)
    protocol: str = "SIP/2.0"

    @classmethod
    def parse(cls, text: str) -> Via:
        found = _VIA.match(text)
        if found is None:
            raise RemoteProtocolError(f"bad Via: {excerpt(text)}")
        name, version, transport, host, port = found.groups()
        end = found.end()
        params = parse_params(text, end) if end < len(text) else {}
        return cls(transport, check_host(host), _port(port), params, f"{name}/{version}")

    def __str__(self) -> str:
        return f"{self.protocol}/{self.transport} {self.sent_by}{format_params(self.params)}"

    @property
    def sent_by(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address, without brackets: peers write IPv6 both ways (RFC 5118 4.5)."""
        value = self.params.get("received")
        return None if value is None else unbracket(value)

    @property
    def rport(self) -> int | None:
        """The value of rport (RFC 3581); None also when it is a flag: ask `"rport" in via.params`."""
        value = self.params.get("rport")
        return _port(value) if value is not None and re.fullmatch(r"[0-9]{1,5}", value, re.ASCII) else None
