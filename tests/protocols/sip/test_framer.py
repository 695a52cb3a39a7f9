"""Messages out of a stream: the same for every split, bounded in time and memory (RFC 3261 18.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.framer import KEEPALIVE, Framed, Framer, Keepalive
from cubeproxy.protocols.sip.message import MalformedMessage, Request, Response
from tests.protocols.sip import strategies as sip
from tests.protocols.sip.builders import INVITE, octets

PING = b"\r\n\r\n"


def seen(items: list[Framed]) -> list[object]:
    """What can be compared."""
    return [
        item.serialise() if isinstance(item, Request | Response)
        else (str(item), item.status, item.fatal) if isinstance(item, RemoteProtocolError)
        else item
        for item in items
    ]  # fmt: skip


def whole(data: bytes, **limits: int) -> list[object]:
    return seen(Framer(**limits).receive(data))


def split(data: bytes, cuts: list[int], **limits: int) -> list[object]:
    framer = Framer(**limits)
    items: list[Framed] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        items += framer.receive(data[start:end])
    return seen(items)


ENDINGS = [
    b"",
    b"\r\n",
    b"\r",
    b"\rINVITE",
    b"garbage\r\n\r\n",
    INVITE + b"\r\n",
    INVITE + b"Content-Length: -1\r\n\r\n",
    INVITE + b"Content-Length: 99999999\r\n\r\n",
    INVITE + b"Content-Length: 10\r\n\r\nshort",
    INVITE + b"X: " + b"x" * 5000,
    octets(b"no colon"),
    octets(b"X: \n"),
]
odd = st.sampled_from(
    [PING, b"\r\n", PING + b"\r\n", octets(first=INVITE.replace(b" SIP/2.0\r\n", b"  SIP/2.0\r\n", 1), body=b"xy")]
)
streams = st.tuples(
    st.lists(st.one_of(sip.message_octets(), odd), max_size=5).map(b"".join), st.sampled_from(ENDINGS)
).map(b"".join)


@given(st.data(), st.one_of(streams, sip.sip_like))
def test_every_split_gives_the_same(data: st.DataObject, stream: bytes) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    expected = whole(stream, max_head=2000)
    assert split(stream, cuts, max_head=2000) == expected
    assert split(stream, list(range(1, len(stream))) if stream else [], max_head=2000) == expected


@given(st.lists(sip.message_octets(), max_size=6))
def test_what_was_sent_is_what_arrives(messages: list[bytes]) -> None:
    assert whole(b"".join(messages)) == messages
    assert whole(PING.join([b"", *messages])) == [piece for message in messages for piece in (KEEPALIVE, message)]


@given(st.lists(st.one_of(st.binary(max_size=40), sip.sip_like), max_size=6))
def test_only_the_last_error_ends_the_stream_and_it_comes_last(pieces: list[bytes]) -> None:
    framer = Framer(max_head=300)
    items = [item for piece in pieces for item in framer.receive(piece)]
    fatal = [isinstance(item, RemoteProtocolError) and item.fatal for item in items]
    assert not any(fatal[:-1])
    if fatal and fatal[-1]:
        assert framer.receive(octets()) == []
        assert not framer.pending


def test_double_line_breaks_between_messages_are_keepalives() -> None:
    """RFC 5626 3.5.1; a single one is nothing (RFC 3261 7.5)."""
    framer = Framer()
    assert framer.receive(b"\r\n") == []
    assert framer.receive(b"\r") == []
    assert not framer.pending
    assert framer.receive(b"\n") == [KEEPALIVE]
    assert seen(framer.receive(b"\r\n" + octets() + PING + PING)) == [octets(), KEEPALIVE, KEEPALIVE]
    assert isinstance(KEEPALIVE, Keepalive)
    assert repr(KEEPALIVE) == "KEEPALIVE"


def test_a_body_may_be_line_breaks() -> None:
    assert whole(octets(body=PING) + PING) == [octets(body=PING), KEEPALIVE]


@pytest.mark.parametrize(
    ("rows", "status", "text"),
    [
        (b"", 400, "no Content-Length on a stream"),
        (b"Content-Length: -1\r\n", 400, "bad Content-Length"),
        (b"Content-Length: 1 1\r\n", 400, "bad Content-Length"),
        (b"Content-Length: 0x1\r\n", 400, "bad Content-Length"),
        (b"Content-Length: 99999999999\r\n", 400, "bad Content-Length"),
        (b"Content-Length: 101\r\n", 513, "a body of 101 octets"),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", 400, "more than one Content-Length"),
        (b"Content-Length: 3\r\nl : 4\r\n", 400, "more than one Content-Length"),
    ],
)
def test_a_length_that_cannot_be_trusted_ends_the_stream(rows: bytes, status: int, text: str) -> None:
    items = Framer(max_body=100).receive(octets() + INVITE + rows + b"\r\n" + octets())
    error = items[-1]
    assert len(items) == 2
    assert isinstance(error, MalformedMessage)
    assert (error.status, error.fatal) == (status, True)
    assert text in str(error)
    assert isinstance(error.message, Request)


def test_a_body_of_the_largest_size_passes() -> None:
    data = octets(body=b"x" * 100)
    assert whole(data, max_body=100) == [data]


def test_a_body_is_waited_for() -> None:
    framer = Framer()
    data = octets(body=b"x" * 10)
    assert framer.receive(data[:-10]) == []
    assert framer.pending
    assert framer.receive(data[-10:-1]) == []
    assert framer.pending
    assert seen(framer.receive(data[-1:])) == [data]
    assert not framer.pending


def test_a_head_is_bounded_with_and_without_its_end() -> None:
    data = octets()
    size = data.index(PING) + 4
    assert whole(data, max_head=size) == [data]
    for sent in (data, data[: size - 1]):
        (error,) = Framer(max_head=size - 1).receive(sent)
        assert isinstance(error, RemoteProtocolError)
        assert (error.status, error.fatal) == (513, True)
    waiting = Framer(max_head=size)
    assert waiting.receive(data[: size - 1]) == []
    assert waiting.pending


def test_after_a_bad_start_line_the_stream_goes_on() -> None:
    """Its length is known, so the next message is where it should be."""
    bad = octets(first=INVITE.replace(b"SIP/2.0\r\n", b"SIP/2.0 \r\n", 1), body=b"body")
    items = Framer().receive(bad + octets())
    error, message = items
    assert isinstance(error, MalformedMessage)
    assert not error.fatal
    assert isinstance(error.message, Request)
    assert error.message.body == b"body"
    assert seen([message]) == [octets()]


@pytest.mark.parametrize("row", [b"no colon", b"X: \r evil", b"X: \n evil", b"X\0: evil", b"X y: evil"])
def test_a_bad_row_ends_the_stream(row: bytes) -> None:
    items = Framer().receive(octets(row) + octets())
    assert len(items) == 1
    assert isinstance(items[0], RemoteProtocolError)
    assert items[0].fatal


class CountingBuffer(bytearray):
    """Counts the octets that searches may look at."""

    examined = 0

    def find(self, sub: object, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        self.examined += min(len(self), len(self) if end is None else end) - start
        return super().find(sub, start, end)  # type: ignore[arg-type]


def test_octet_by_octet_costs_no_more_than_a_few_looks_at_each() -> None:
    framer = Framer()
    framer._buffer = buffer = CountingBuffer()
    data = octets(b"X: " + b"x" * 8000, body=b"y" * 8000)
    items = [item for at in range(len(data)) for item in framer.receive(data[at : at + 1])]
    assert seen(items) == [data]
    assert buffer.examined < 6 * len(data)
