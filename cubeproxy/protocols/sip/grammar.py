"""What every SIP header shares: tokens, quoted strings, parameters and comma lists (RFC 3261 25.1).

Two rules of this file: every pattern is ASCII and runs in linear time (possessive quantifiers, no search that starts
again at each blank), and text has already been unfolded, so that the only white space left is SP and HTAB.
"""

from __future__ import annotations

import re

from cubeproxy.protocols.errors import RemoteProtocolError

Params = dict[str, str | None]
"""Parameters in order; names in lower case, values as written (a quoted string keeps its quotes), None without `=`."""

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"  # noqa: S105
QUOTED = r'"[^"\\]*+(?:\\[\x00-\x7f][^"\\]*+)*+"'
HOST = r"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_.\-]++)"
LWS = " \t"

is_token = re.compile(TOKEN, re.ASCII).fullmatch

_PARAM = re.compile(
    rf"[ \t]*+;[ \t]*+({TOKEN})(?:[ \t]*+=[ \t]*+({QUOTED}|[!#-+\--:=?-~]++))?+[ \t]*+",
    re.ASCII,
)
_ELEMENT = re.compile(rf'(?:[^",<]++|{QUOTED}|<[^>]*+>)*+', re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.ASCII | re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\])')


def parse_params(text: str, start: int = 0) -> Params:
    """Read `*( SEMI generic-param )` from `start` to the end; a name given twice is an error (RFC 3261 7.3.1)."""
    params: Params = {}
    at, end = start, len(text)
    while at < end:
        found = _PARAM.match(text, at)
        if found is None:
            if not text[at:].strip(LWS):
                break
            raise RemoteProtocolError(f"bad parameters: {excerpt(text[at:])}")
        name = found[1].lower()
        if name in params:
            raise RemoteProtocolError(f"parameter {name} is given twice")
        params[name] = found[2]
        at = found.end()
    return params


def format_params(params: Params) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


def split_list(text: str) -> list[str]:
    """Split at the commas that stand outside quoted strings and angle brackets; the pieces are stripped.

    An empty piece stays, so that the grammar of the element refuses it. Behind an unbalanced quote or bracket
    nothing is split: there is no second way to read the rest.
    """
    if "," not in text:
        return [text.strip(LWS)]
    pieces: list[str] = []
    at = 0
    while True:
        end = _match_end(text, at)
        if end < len(text) and text[end] != ",":
            end = len(text)
        pieces.append(text[at:end].strip(LWS))
        if end >= len(text):
            return pieces
        at = end + 1


def _match_end(text: str, at: int) -> int:
    found = _ELEMENT.match(text, at)
    return found.end() if found else at


def quote(text: str) -> str:
    """A quoted-string of the text (RFC 3261 25.1)."""
    return '"' + _TO_ESCAPE.sub(r"\\\1", text) + '"'


def unquote(text: str) -> str:
    """The meaning of a gen-value: escapes undone when it is a quoted-string, else as it stands."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        inner = text[1:-1]
        return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner
    return text


def decimal(text: str, largest: int) -> int | None:
    """ASCII digits up to `largest`, leading zeros allowed; None for everything else, however long."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 9:
        text = text.lstrip("0") or "0"
        if len(text) > len(str(largest)):
            return None
    value = int(text)
    return value if value <= largest else None


def excerpt(text: str, length: int = 60) -> str:
    """A piece of a peer's text that is safe to show: ASCII, escaped, short."""
    return ascii(text[:length]) + ("..." if len(text) > length else "")
