"""Header rows: order, names, lists, folds, and what may be written (RFC 3261 7.3)."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.grammar import decimal, excerpt, parse_params, quote, split_list, unquote
from cubeproxy.protocols.sip.headers import Headers
from cubeproxy.protocols.sip.names import COMPACT, KEYS, LONG, key_of
from tests.protocols.sip import strategies as sip


def headers(*rows: str) -> Headers:
    return Headers.parse(["", *"\r\n".join(rows).split("\r\n")])


def test_names_match_without_case_and_compact_forms_equal_long_ones() -> None:
    rows = headers("v: SIP/2.0/UDP a", "VIA: SIP/2.0/UDP b", "viA: SIP/2.0/UDP c", "i: x", "x-Odd: 1")
    assert rows.all("Via") == rows.all("V") == ["SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert rows.get("CALL-ID") == rows.get("i") == "x"
    assert rows.get("X-ODD") == "1"
    assert "call-id" in rows
    assert "To" not in rows
    assert list(rows.items())[3:] == [("Call-ID", "x"), ("x-Odd", "1")]


def test_every_compact_form_stands_for_a_known_header() -> None:
    for letter, key in COMPACT.items():
        assert key in LONG
        assert key_of(letter) == key_of(letter.upper()) == key_of(LONG[key]) == KEYS[key] == key


def test_list_headers_are_split_and_others_are_not() -> None:
    rows = headers(
        'Contact: "A, B" <sip:a@b;x=1>;q=1, <sip:c,d@e>',
        "Contact: sip:f@g",
        "Date: Sat, 13 Nov 2010 23:29:00 GMT",
        'WWW-Authenticate: Digest realm="a", nonce="b"',
        "X-Unknown: a, b",
        "Supported:",
        "Supported: timer, replaces",
    )
    assert rows.all("m") == ['"A, B" <sip:a@b;x=1>;q=1', "<sip:c,d@e>", "sip:f@g"]
    assert rows.get("Contact") == '"A, B" <sip:a@b;x=1>;q=1'
    assert rows.rows("Contact") == ['"A, B" <sip:a@b;x=1>;q=1, <sip:c,d@e>', "sip:f@g"]
    assert rows.all("Date") == [rows.get("Date")] == ["Sat, 13 Nov 2010 23:29:00 GMT"]
    assert rows.all("WWW-Authenticate") == ['Digest realm="a", nonce="b"']
    assert rows.all("X-Unknown") == ["a, b"]
    assert rows.all("Supported") == ["timer", "replaces"]
    assert (rows.get("Supported"), rows.get("Require"), rows.all("Require")) == ("", None, [])


def test_folds_are_one_space_also_within_quotes() -> None:
    rows = headers('To: "Long\r\n \tname" <sip:a@b>', "Subject:\r\n\r\n".rstrip() + "\r\n  x  \r\n\ty", "v:a,\r\n b")
    assert rows.get("To") == '"Long name" <sip:a@b>'
    assert rows.get("Subject") == "x y"
    assert rows.all("Via") == ["a", "b"]


@pytest.mark.parametrize(
    "rows",
    [
        (" leading: fold",),
        ("no colon",),
        ("To",),
        ("To: x\r\n fold", "Via"),
        ("X-Trailing", " : fold"),
        ("bad name: x",),
        (": x",),
        ("Ünï: x",),
        ("a\0: x",),
    ],
)
def test_a_row_that_is_none_is_refused(rows: tuple[str, ...]) -> None:
    with pytest.raises(RemoteProtocolError):
        headers(*rows)
    with pytest.raises(RemoteProtocolError):
        Headers.parse(["", "To: x", "", "From: y"])


def test_a_space_before_the_colon_makes_no_other_header() -> None:
    """CVE-2020-28361: a filter that looks for the name must find it."""
    rows = headers("X-Bypass-Me : yes", "Content-Length\t: 5")
    assert rows.get("x-bypass-me") == "yes"
    assert rows.get("Content-Length") == "5"
    assert list(rows.items()) == [("X-Bypass-Me", "yes"), ("Content-Length", "5")]
    rows.remove("X-Bypass-me")
    assert rows.lines() == ["Content-Length\t: 5"]


def test_rows_are_changed_in_place() -> None:
    rows = headers("Via: one", "Route: <sip:a>", "Via: two", "X-A: 1")
    assert not rows.changed
    rows.prepend("v", "zero")
    rows.prepend("Route", "<sip:b>")
    rows.add("x", "90;refresher=uac")
    rows.add("X", "2")
    assert rows.changed
    assert rows.lines() == [
        "Via: zero", "Via: one", "Route: <sip:b>", "Route: <sip:a>", "Via: two", "X-A: 1",
        "Session-Expires: 90;refresher=uac", "Session-Expires: 2",
    ]  # fmt: skip
    rows.set("Via", "only")
    rows.set("route", ["<sip:c>", "<sip:d>"])
    rows.set("Subject", "new")
    rows.set("Session-Expires", [])
    assert rows.lines() == ["Via: only", "Route: <sip:c>", "Route: <sip:d>", "X-A: 1", "Subject: new"]
    rows.prepend("Max-Forwards", "70")
    assert next(rows.items()) == ("Max-Forwards", "70")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.add("X-A", "1"),
        lambda rows: rows.prepend("To", "y"),
        lambda rows: rows.set("To", "y"),
        lambda rows: rows.remove("To"),
        lambda rows: rows.extend("to", "y"),
        lambda rows: rows.take(Headers(), frozenset({"to"})),
    ],
)
def test_every_change_is_noted(change: Callable[[Headers], None]) -> None:
    rows = headers("To: x")
    assert not rows.changed
    change(rows)
    assert rows.changed


def test_copies_are_independent_and_equal_until_changed() -> None:
    rows = headers("Via: one", "To: x")
    copy = rows.copy()
    assert copy == rows
    copy.remove("To")
    assert copy != rows
    assert (len(copy), len(rows), copy.changed, rows.changed) == (1, 2, True, False)
    copy.remove("To")
    assert rows != "rows"
    assert repr(rows) == "Headers(Via, To)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nVia: evil"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X y", "a"),
        ("X:", "a"),
        ("", "a"),
        ("é", "a"),
    ],
)
def test_we_never_write_a_second_header_into_a_first(name: str, value: str) -> None:
    rows = Headers()
    for write in (rows.add, rows.prepend, rows.set):
        with pytest.raises(LocalProtocolError):
            write(name, value)
    assert len(rows) == 0


def test_an_escaped_nul_is_legal_and_stays() -> None:
    rows = Headers()
    rows.add("To", '"NUL:\\\0" <sip:a@b>')
    assert rows.get("To") == '"NUL:\\\0" <sip:a@b>'


def test_rows_are_taken_over_whole_and_as_we_write_them() -> None:
    source = headers("v: one,\r\n two", "X: 1", "Via:three ", "Via:  four", "Via: five", "t: x", "To: y")
    rows = Headers()
    rows.take(source, frozenset({"via", "to", "from"}))
    assert rows.lines() == ["Via: one, two", "Via: three", "Via: four", "Via: five", "To: x"]
    rows.extend("to", ";tag=1")
    source.extend("to", ";tag=2")
    assert (rows.get("To"), source.rows("To")) == ("x;tag=1", ["x;tag=2", "y"])


def test_lists_split_outside_quotes_and_brackets_only() -> None:
    assert split_list('a , "b,\\",c" ,<d,e>;x="<,",, f') == ["a", '"b,\\",c"', '<d,e>;x="<,"', "", "f"]
    assert split_list('a, "open, b') == ["a", '"open, b']
    assert split_list("a, <open, b") == ["a", "<open, b"]
    assert split_list(",") == ["", ""]


def test_long_blanks_and_lists_take_linear_time() -> None:
    """A quadratic reader needs minutes for these; ours some milliseconds."""
    blank = " " * 60_000
    start = process_time()
    for text in (f"a{blank}x", f"{blank},{blank}", '"' * 60_001, "<" * 60_000, "\\" * 60_000):
        split_list(text)
        with pytest.raises(RemoteProtocolError):
            parse_params(text)
    assert process_time() - start < 2.0


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_quoting_and_unquoting_give_the_same(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split_list(f"{quote(text)}, x") == [quote(text), "x"]


def test_unquote_leaves_other_text_alone() -> None:
    assert [unquote(text) for text in ("a", '"', '"a', "")] == ["a", '"', '"a', ""]


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", "٣", " 1", "1 ", "1e3", "0x1", "4294967296", "9" * 5000])
def test_only_ascii_digits_within_bounds_are_a_number(text: str) -> None:
    assert decimal(text, 2**32 - 1) is None


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0070", 70), ("4294967295", 2**32 - 1), ("0" * 5000 + "7", 7)])
def test_a_number_may_have_leading_zeros(text: str, value: int) -> None:
    assert decimal(text, 2**32 - 1) == value


def test_an_excerpt_is_safe_to_show() -> None:
    assert excerpt("\x1b[2J\udcff\n") == r"'\x1b[2J\udcff\n'"
    assert excerpt("x" * 100).endswith("...")
    assert len(excerpt("x" * 10_000)) < 80


@given(sip.header_params)
def test_parameters_keep_their_order(params: dict[str, str | None]) -> None:
    from cubeproxy.protocols.sip.grammar import format_params

    read = parse_params(format_params(params))
    assert list(read.items()) == list(params.items())
    assert parse_params(" ; a = b ;c \t") == {"a": "b", "c": None}
    assert parse_params("  ") == {}
