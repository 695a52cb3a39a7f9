"""SIP text for property tests: always legal, often odd."""

from __future__ import annotations

import string

from hypothesis import strategies as st

TOKEN_CHARS = string.ascii_letters + string.digits + "-.!%*_+`'~"
USER_CHARS = string.ascii_letters + string.digits + "-_.!~*'()&=+$,;?/"

tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
names = st.text(string.ascii_letters, min_size=1, max_size=8)
hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5})?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ports = st.one_of(st.none(), st.integers(0, 65535))
users = st.one_of(st.just(""), st.text(USER_CHARS, min_size=1, max_size=12), st.just("%61lice%00"))
displays = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


uri_params = st.dictionaries(
    names.map(str.lower), st.one_of(st.none(), st.text("aZ09[]/:&+$.", max_size=6), st.just("%41x")), max_size=3
)
header_params = st.dictionaries(names.map(str.lower), st.one_of(st.none(), tokens, displays.map(quoted)), max_size=3)

# Octets that look like SIP now and then, for parsers that must survive anything.
_PIECES = [
    b"INVITE sip:a@b SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n", b"\r\n\r\n",
    b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b";", b",", b"<", b">", b'"', b"\\", b"%", b"=", b"[", b"]", b"\x00",
    b"\xff", b"\xc3\xa9", b"From: ", b"To: <sip:", b"Call-ID: x", b"CSeq: 1 INVITE", b"Content-Length: ", b"l: 5",
    b"Contact: *", b"tag=", b"sip:", b"sips:", b"tel:+1", b"@", b"999999999999999999999", b"-1", b"SIP/2.0",
]  # fmt: skip
sip_like = st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=4)), max_size=40).map(b"".join)
sip_like_text = sip_like.map(lambda data: data.decode("utf-8", "surrogateescape"))

_NAMES = st.one_of(
    st.sampled_from(["X-Odd", "User-Agent", "s", "Subject", "Supported", "k", "SUPPORTED", "P-Charging-Vector "]),
    tokens,
).filter(lambda name: name.strip().lower() not in ("l", "content-length"))
_VALUES = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20),
    st.just("folded\r\n  value"),
    st.just('"a, b" <sip:x>,\r\n\tc'),
    st.just(""),
)
_STARTS = st.sampled_from(
    [
        "INVITE sip:a@b SIP/2.0",
        "BYE sip:[::1];lr SIP/2.0",
        "X sip:x sip/7.0",
        "SIP/2.0 200 OK",
        "SIP/2.0 100 ",
        "SIP/2.0 486 ß",
    ]
)


@st.composite
def message_octets(draw: st.DrawFn) -> bytes:
    """A message with a right Content-Length somewhere among odd headers; not all of it is valid UTF-8."""
    rows = [f"{name}:{value}".encode() for name, value in draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=6))]
    rows += draw(
        st.lists(st.sampled_from([b"X-Raw: \xff\xfe", b"v: SIP/2.0/TCP h;branch=z9hG4bK1", b"i:x@y"]), max_size=3)
    )
    content = draw(st.binary(max_size=60))
    at = draw(st.integers(0, len(rows)))
    rows.insert(at, draw(st.sampled_from([b"Content-Length: %d", b"l:00%d", b"CONTENT-LENGTH :\t%d"])) % len(content))
    return b"\r\n".join([draw(_STARTS).encode(), *rows, b"", content])
