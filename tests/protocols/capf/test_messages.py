"""CAPF on the wire: recorded messages, streams cut anywhere, and octets that were made to hurt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.capf import (
    AuthMode,
    Client,
    Framer,
    KeyRequest,
    Message,
    Operation,
    Proof,
    Server,
    parse_message,
)
from cubeproxy.protocols.capf.messages import CertificateType, Curve, Tag, certificate_value, read_certificate
from cubeproxy.protocols.capf.session import (
    Authenticate,
    DeleteCertificate,
    GenerateKey,
    GiveCertificate,
    IssueCertificate,
    Prove,
    Send,
    StoreCertificate,
)
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from tests.protocols.capf.stage import DEVICE

DER = bytes(865)
SPKI = bytes(294)
messages = st.builds(
    Message,
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=30)), max_size=6, unique_by=lambda one: one[0]).map(
        tuple
    ),
)


def octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


GREETING = octets("55 01 00000002 0008 070001 03 080001 00")
PROOF = (
    octets("55 02 00000002 0024 010001 01 070001 03 0b0006") + b"12345\0" + octets("0d0010") + DEVICE.encode() + b"\0"
)
KEY_REQUEST = octets("55 03 00000002 0009 0a0002 0800 110001 00")
PROGRESS = octets("55 11 00000002 0000")
KEY = octets("55 04 00000002 0129 090126") + SPKI
STORE = octets("55 09 00000002 036d 030001 01 040366 01 0363 00 01") + DER
STORED = octets("55 0a 00000002 0004 010001 01")
END = octets("55 0f 00000002 0004 010001 01")


def sent(effects: object) -> list[bytes]:
    assert isinstance(effects, list)
    return [effect.data for effect in effects if isinstance(effect, Send)]


def test_an_installation_is_octet_for_octet_the_recorded_one() -> None:
    """Both ends, each fed with what was recorded of the other."""
    server, client = Server(2), Client(DEVICE)
    assert client.start(0.0) == []
    assert sent(server.start(0.0)) == [GREETING]
    client.receive(GREETING, 0.0)
    assert sent(client.prove(Proof(password="12345"), 0.0)) == [PROOF]
    server.receive(PROOF, 0.0)
    assert sent(server.decide(Operation.INSTALL, 0.0, KeyRequest(2048))) == [KEY_REQUEST]
    assert sent(client.receive(KEY_REQUEST, 0.0)) == [PROGRESS]
    assert server.receive(PROGRESS, 0.0) == []
    assert sent(client.key_made(SPKI, 0.0)) == [KEY]
    server.receive(KEY, 0.0)
    assert sent(server.issued(DER, 0.0)) == [STORE]
    client.receive(STORE, 0.0)
    assert sent(client.done(0.0)) == [STORED]
    assert sent(server.receive(STORED, 0.0)) == [END]
    client.receive(END, 0.0)
    assert (server.over, client.over) == (True, True)


def test_elliptic_curves_and_old_phones() -> None:
    assert KeyRequest(curve=Curve.P384).elements(3) == [(Tag.KEY_TYPE, b"\x01"), (Tag.CURVE, b"\x01")]
    assert KeyRequest(2048).elements(2) == [(Tag.KEY_SIZE, b"\x08\x00")]
    with pytest.raises(LocalProtocolError, match="2000 bits"):
        KeyRequest(2000)


def test_a_real_servers_greeting_has_no_mode() -> None:
    assert sent(Server(5, None).start(0.0)) == [octets("55 01 00000005 0004 070001 03")]
    assert sent(Server(5, AuthMode.STRING).start(0.0)) == [octets("55 01 00000005 0008 070001 03 080001 01")]


@given(st.lists(messages, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_a_stream_gives_the_same_messages_however_it_is_cut(found: list[Message], data: st.DataObject) -> None:
    stream = b"".join(one.serialise() for one in found)
    framer, received, at = Framer(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 40))
        received += framer.receive(stream[at : at + size])
        at += size
    assert received == found


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_hostile_octets_are_the_peers_fault(data: bytes) -> None:
    """Whole, octet by octet, and behind a header that is good."""
    for stream in (data, octets("55 02 00000002") + len(data).to_bytes(2, "big") + data):
        whole, parts = Framer(), Framer()
        cut = [found for place in range(len(stream)) for found in parts.receive(stream[place : place + 1])]
        assert list(map(repr, whole.receive(stream))) == list(map(repr, cut))
        server = Server(2)
        server.start(0.0)
        server.receive(stream, 0.0)


@pytest.mark.parametrize(
    "stream",
    [
        "54",
        "55 02 00000002 4001",
        "55 02 00000002 0002 0100",
        "55 02 00000002 0004 010002 01",
        "55 02 00000002 0006 010000 010000",
        "55 02 00000002 00c3" + "".join(f"{tag:02x}0000" for tag in range(65)),
    ],
)
def test_what_breaks_a_stream(stream: str) -> None:
    framer = Framer()
    (error,) = framer.receive(octets(stream))
    assert isinstance(error, RemoteProtocolError)
    assert error.fatal
    assert framer.receive(PROGRESS) == []


def test_a_message_that_is_not_whole() -> None:
    for data in (b"", GREETING[:-1], GREETING + b"\0", b"\x54" + GREETING[1:]):
        with pytest.raises(RemoteProtocolError):
            parse_message(data)
    with pytest.raises(LocalProtocolError):
        Message(1, 2, ((4, bytes(20000)),)).serialise()


def test_elements_are_read_strictly() -> None:
    found = Message(2, 2, ((7, b"\0\3"), (11, b"a\0b\0"), (13, b"\xff\0")))
    for read in (lambda: found.number(7), lambda: found.text(11), lambda: found.text(13)):
        with pytest.raises(RemoteProtocolError):
            read()
    assert (found.number(1), found.text(2), found.number(7, 2)) == (None, None, 3)


def test_a_certificate_element() -> None:
    value = certificate_value(DER, CertificateType.MIC)
    assert read_certificate(value) == (CertificateType.MIC, DER)
    for broken in (b"", value[:-1], b"\x02" + value[1:], value[:3] + b"\x01" + value[4:], value[:4] + b"\x03" + DER):
        with pytest.raises(RemoteProtocolError):
            read_certificate(broken)


def test_a_password_does_not_show() -> None:
    assert "12345" not in repr(parse_message(PROOF))
    assert "12345" not in repr(Proof(password="12345"))


likely = st.builds(
    Message,
    st.integers(1, 20),
    st.sampled_from([2, 2, 2, 3]),
    st.lists(
        st.sampled_from(
            [
                (1, b"\x01"),
                (1, b"\x07"),
                (4, certificate_value(b"\x30\x00", CertificateType.LSC)),
                (7, b"\x03"),
                (9, b"\x30\x00"),
                (10, b"\x08\x00"),
                (13, b"SEP001122334455\0"),
                (17, b"\x01"),
                (18, b"\x00"),
            ]
        ),
        max_size=6,
        unique_by=lambda one: one[0],
    ).map(tuple),
)


@given(st.lists(likely, max_size=8), st.sampled_from([*Operation, None]))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_the_peers_fault(script: list[Message], operation: Operation | None) -> None:
    """Neither end ever raises, with an owner that answers at once."""
    server, client = Server(2), Client(DEVICE)
    server.start(0.0)
    client.start(0.0)
    for one in script:
        for effect in server.receive(one.serialise(), 0.0):
            if isinstance(effect, Authenticate):
                _ = server.decide(operation, 0.0) if operation else server.refuse(0.0)
            if isinstance(effect, IssueCertificate):
                server.issued(b"\x30\x00", 0.0)
        for effect in client.receive(one.serialise(), 0.0):
            match effect:
                case Prove():
                    client.prove(Proof(), 0.0)
                case GenerateKey():
                    client.key_made(b"\x30\x00", 0.0)
                case GiveCertificate():
                    client.certificate_found(b"\x30\x00", CertificateType.LSC, 0.0)
                case StoreCertificate() | DeleteCertificate():
                    client.done(0.0)
