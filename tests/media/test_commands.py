"""The seam's messages: each comes back as it went, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media import commands
from cubeproxy.media.commands import Beat, Close, Fault, Hello, Open, Renew, Shutdown, Update, decode, encode
from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Codec, StreamSpec

from .phones import Phone, key

addresses = st.tuples(st.sampled_from(("127.0.0.1", "2001:db8::1", "255.255.255.255")), st.integers(0, 65535))


@st.composite
def keys(draw: Callable[[st.SearchStrategy[Any]], Any]) -> MasterKey:
    suite = draw(st.sampled_from(Suite))
    octets = suite.sizes.master
    master = draw(st.binary(min_size=octets, max_size=octets))
    return MasterKey(suite, master, draw(st.binary(max_size=128)), draw(st.none() | st.integers(1, 1 << 48)))


specs = st.builds(
    StreamSpec,
    remote=st.none() | addresses,
    codec=st.builds(Codec, st.sampled_from(("pcmu", "opus", "g729")), st.integers(1, 192_000), st.integers(1, 2)),
    payload_type=st.integers(0, 127),
    send_key=st.none() | keys(),
    receive_key=st.none() | keys(),
    dtmf_payload_type=st.none() | st.integers(0, 127),
    ptime=st.integers(0, 255),
    sends=st.booleans(),
    receives=st.booleans(),
    latch=st.booleans(),
    remote_rtcp=st.none() | addresses,
    joins=st.booleans(),
)
number = st.integers(0, 0xFFFFFFFF)
messages = st.one_of(
    st.builds(Hello, number, number),
    st.builds(Open, st.integers(0, (1 << 64) - 1), number, st.just(2), st.just(10)),
    st.builds(Update, st.integers(0, (1 << 64) - 1), st.tuples(st.none() | specs, st.none() | specs)),
    st.builds(Close, st.integers(0, (1 << 64) - 1)),
    st.builds(Renew, number),
    st.just(Shutdown()),
    st.builds(Beat, number, number),
    st.builds(Fault, st.text(max_size=200)),
)


@settings(max_examples=200)
@given(messages.filter(lambda message: not isinstance(message, Fault)))
def test_a_message_comes_back_as_it_went(message: commands.Message) -> None:
    data = encode(message)
    assert len(data) <= commands.MAX_MESSAGE
    assert decode(data) == message


def test_a_fault_comes_back_and_is_cut_to_the_size_of_a_message() -> None:
    assert decode(encode(Fault("no such thing"))) == Fault("no such thing")
    assert len(encode(Fault("x" * 10_000))) == commands.MAX_MESSAGE


@settings(max_examples=100)
@given(messages.filter(lambda message: not isinstance(message, Fault)), st.data())
def test_a_message_cut_short_is_refused(message: commands.Message, data: st.DataObject) -> None:
    octets = encode(message)
    with pytest.raises(LocalProtocolError):
        decode(octets[: data.draw(st.integers(0, len(octets) - 1))])


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_octets_give_a_message_or_the_error(octets: bytes) -> None:
    for data in (octets, b"\x01" + octets, b"\x01\x03" + octets):
        try:
            decode(data)
        except LocalProtocolError:
            continue


@pytest.mark.parametrize("octets", [b"\x02\x05\x00\x00\x00\x01", b"\x01\x63", encode(Close(1)) + b"\x00"])
def test_another_version_kind_or_length_is_refused(octets: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        decode(octets)


def test_no_error_and_no_message_shows_a_key() -> None:
    spec = Phone(("127.0.0.1", 4000), key(1), key(2)).spec()
    update = Update(1, (spec, spec))
    assert "redacted" in repr(update)
    assert repr(key(1).master) not in repr(update)
    with pytest.raises(LocalProtocolError) as caught:
        decode(encode(update)[:-1])
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 80
