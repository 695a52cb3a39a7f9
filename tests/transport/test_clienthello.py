"""The server name of a hello that OpenSSL made, and of hellos that nobody should send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from cubeproxy.transport.clienthello import server_name


def hello(name: bytes | None) -> bytes:
    connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    connection.set_connect_state()
    if name is not None:
        connection.set_tlsext_host_name(name)
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(16_384)


def test_the_name_of_a_hello() -> None:
    assert server_name(hello(b"capf.lab.example")) == "capf.lab.example"


def test_no_name_in_it() -> None:
    assert server_name(hello(None)) == ""


def test_half_a_hello_has_none_and_every_other_octet_is_survived() -> None:
    whole = hello(b"capf.lab.example")
    end = whole.index(b"capf.lab.example")
    assert {server_name(whole[:length]) for length in range(end)} == {""}
    for position in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[position] ^= 0xFF
        assert isinstance(server_name(bytes(spoilt)), str)


@given(st.binary(max_size=600))
def test_anything(data: bytes) -> None:
    assert server_name(data).isprintable()
    assert server_name(b"\x16\x03\x01\x02\x00\x01" + data).isprintable()
