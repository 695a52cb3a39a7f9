"""The stream: the same messages however it is split, bounded, and dead after nonsense."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.frame import LARGEST, Framer, Received
from cubeproxy.protocols.sccp.messages import KeepAlive, RegisterReject, RegisterRequest
from cubeproxy.protocols.sccp.registry import HEAD, Unknown, encode
from tests.protocols.sccp.values import messages


def read(*parts: bytes) -> list[Received]:
    framer = Framer()
    return [one for part in parts for one in framer.receive(part)]


@given(st.lists(messages(), min_size=1, max_size=5), st.data())
@settings(max_examples=100)
def test_every_split_gives_the_same_messages(drawn: list[tuple[object, int]], data: st.DataObject) -> None:
    stream = b"".join(encode(message, version) for message, version in drawn)  # type: ignore[arg-type]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*parts) == drawn
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == drawn


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_any_octets_end_in_messages_or_one_fatal_error(data: bytes) -> None:
    found = read(data, bytes(20))
    fatal = [place for place, (one, _) in enumerate(found) if isinstance(one, RemoteProtocolError) and one.fatal]
    assert fatal in ([], [len(found) - 1])


def test_a_broken_message_is_an_error_in_its_place() -> None:
    broken = HEAD.pack(8, 0, RegisterReject.ID) + b"text"
    first, second = read(broken + encode(KeepAlive()))
    assert isinstance(first[0], RemoteProtocolError)
    assert not first[0].fatal
    assert second == (KeepAlive(), 0)


def test_lengths_and_versions_of_no_sccp_end_the_stream() -> None:
    for head in (HEAD.pack(3, 0, 0), HEAD.pack(LARGEST + 1, 0, 0), HEAD.pack(4, 256, 0), b"GET / HTTP/1.1\r\n"):
        framer = Framer()
        ((error, _),) = framer.receive(encode(KeepAlive())[:0] + head)
        assert isinstance(error, RemoteProtocolError)
        assert error.fatal
        assert not framer.pending
        assert framer.receive(encode(KeepAlive())) == []


def test_the_largest_message_is_taken() -> None:
    ((unknown, version),) = read(HEAD.pack(LARGEST, 255, 0x4242) + bytes(LARGEST - 4))
    assert unknown == Unknown(0x4242, bytes(LARGEST - 4))
    assert version == 255
    ((least, _),) = read(HEAD.pack(4, 0, 0x4242))
    assert least == Unknown(0x4242)


def test_a_part_of_a_message_is_pending() -> None:
    framer = Framer()
    data = encode(RegisterRequest())
    assert framer.receive(data[:-1]) == []
    assert framer.pending
    assert len(framer.receive(data[-1:])) == 1
    assert not framer.pending
