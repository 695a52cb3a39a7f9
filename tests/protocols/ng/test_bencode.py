"""Bencode both ways, and whatever else may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.ng.bencode import DEEPEST, LONGEST, Value, decode, encode

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.integers(-(10**18), 10**18) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def depth(value: Value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_what_is_written_is_read(value: Value) -> None:
    if depth(value) <= DEEPEST:
        assert decode(encode(value)) == value


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from([b"l", b"d", b"e", b"i", b"1:", b"0:", b"i0e"])).map(b"".join)
)
def test_anything_is_a_value_or_an_error(data: bytes) -> None:
    try:
        value = decode(data)
    except RemoteProtocolError:
        return
    assert decode(encode(value)) == value


@given(VALUES, st.data())
def test_every_cut_is_an_error(value: Value, data: st.DataObject) -> None:
    octets = encode(value)
    cut = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(RemoteProtocolError):
        decode(octets[:cut])


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"d4:spam4:eggs3:cow3:mooe", {b"spam": b"eggs", b"cow": b"moo"}),  # keys as they come
        (b"i-42e", -42),
        (b"l0:lede" + b"e", [b"", [], {}]),
    ],
)
def test_known_octets(octets: bytes, value: Value) -> None:
    assert decode(octets) == value


def test_our_keys_are_sorted() -> None:
    assert encode({b"b": 1, b"a": [b"x"]}) == b"d1:al1:xe1:bi1ee"


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"i-0e", b"i01e", b"ie", b"i1", b"i+1e", b"i9" + b"0" * 30 + b"e", b"01:x", b"2:x", b"-1:x", b"99999999:x",
        b"i1ei2e", b"d1:a0:1:a0:e", b"di1e0:e", b"d1:ae", b"l", b"d", b"e", b"x", "i\u0661e".encode(),
        b"l" * (DEEPEST + 1) + b"e" * (DEEPEST + 1), b"l" * 60_000, b"0:" * 10, b"%d:" % LONGEST + b"x" * LONGEST,
    ],
)  # fmt: skip
def test_what_is_not_bencode_is_refused(octets: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(octets)


def test_the_deepest_value_is_read() -> None:
    assert depth(decode(b"l" * DEEPEST + b"e" * DEEPEST)) == DEEPEST
