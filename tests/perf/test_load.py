"""The load generator against its own far end, and the little that it understands of SIP."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeload.answering import Answerer
from cubeload.calling import Caller, Outcome
from cubeload.links import Link, open_udp
from cubeload.messages import answer, read, sdp, split_stream
from cubeload.processes import usage

HOST = "127.0.0.1"
INVITE = (
    b"INVITE sip:2000@core SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=1\r\nVia: SIP/2.0/UDP b;branch=2\r\n"
    b"Record-Route: <sip:p;lr>\r\nf: <sip:1@a>;tag=x\r\nTo: <sip:2@b>\r\ni: c1@a\r\nCSeq: 7 INVITE\r\n"
    b"Contact: <sip:1@a>\r\nContent-Length: 0\r\n\r\n"
)


async def load(rate: float, seconds: float, *, deaf: bool = False) -> tuple[Outcome, Answerer]:
    """Calls straight from the caller to the answerer; a deaf one never answers."""
    far = Answerer(HOST, (HOST, 40000))
    where = await far.open()
    if deaf:
        far._link._receiver = lambda *_: None  # type: ignore[union-attr]
    caller = Caller("2000", where, hold=0.05, secure=True)
    link = await open_udp(caller.received, HOST, target=(HOST, int(where.rpartition(":")[2])))
    caller.lines = [(link, "1000")]
    try:
        return await caller.run(rate, seconds), far
    finally:
        link.close()
        far.close()


def test_every_call_is_placed_answered_and_ended() -> None:
    outcome, far = asyncio.run(load(rate=100, seconds=0.5))
    assert (outcome.clean, outcome.failed.total()) == (50, 0)
    assert (far.requests["INVITE"], far.requests["ACK"], far.requests["BYE"]) == (50, 50, 50)
    assert len(outcome.setup) == 50
    assert 0 < outcome.percentile(0.5) <= outcome.percentile(0.99)


def test_a_call_without_an_answer_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cubeload.calling.PATIENCE", 0.2)
    outcome, _ = asyncio.run(load(rate=50, seconds=0.2, deaf=True))
    assert outcome.clean == 0
    assert outcome.failed == {"no answer to INVITE": 10}


class Wire:
    """A link that keeps what is sent."""

    transport_name, host, here = "UDP", HOST, f"{HOST}:5070"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        self.sent.append(data)

    def close(self) -> None:
        pass


def test_a_refused_call_is_counted_by_its_status() -> None:
    caller, wire = Caller("2000", "core", hold=1, secure=False), Wire()
    link: Link = wire
    caller.place(link, "1000")
    caller.received(link, answer(wire.sent[0], "503 Service Unavailable", "t"), (HOST, 1))
    assert caller.outcome.failed == {"503 to INVITE": 1}
    assert caller.calls == {}


def test_each_repeated_200_is_acknowledged_but_counted_once() -> None:
    caller, wire = Caller("2000", "core", hold=1, secure=False), Wire()
    caller.place(wire, "1000")
    ok = answer(wire.sent[0], "200 OK", "t", "Contact: <sip:there:1>\r\n", sdp(HOST, 2))
    caller.received(wire, ok, (HOST, 1))
    caller.received(wire, ok, (HOST, 1))
    assert [data.split(b" ")[:2] for data in wire.sent[1:]] == [[b"ACK", b"sip:there:1"]] * 2
    assert len(caller.outcome.setup) == 1


def test_an_answer_copies_what_the_rfc_says_and_adds_one_tag() -> None:
    text = answer(INVITE, "200 OK", "here").decode()
    assert text.count("Via:") == 2
    assert "Record-Route: <sip:p;lr>\r\n" in text
    assert "f: <sip:1@a>;tag=x\r\n" in text
    assert "To: <sip:2@b>;tag=here\r\n" in text
    assert "i: c1@a\r\n" in text
    assert "CSeq: 7 INVITE\r\n" in text
    assert "Contact" not in text


def test_reading_takes_compact_names_and_leaves_keepalives() -> None:
    message = read(INVITE)
    assert message is not None
    assert (message.status, message.method, message.cseq, message.call_id) == (0, "INVITE", 7, "c1@a")
    assert read(b"\r\n\r\n") is None


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(1, 60))
def test_a_stream_gives_the_same_messages_however_it_is_cut(bodies: list[int], step: int) -> None:
    wanted = [b"OPTIONS sip:a SIP/2.0\r\nl: %d\r\n\r\n" % size + b"x" * size for size in bodies]
    stream, buffer, got = b"\r\n\r\n".join(wanted), bytearray(), []
    for start in range(0, len(stream), step):
        buffer += stream[start : start + step]
        got += split_stream(buffer)
    assert got == wanted


def test_usage_sees_cpu_time_and_memory_of_this_process() -> None:
    before = usage(os.getpid())
    sum(value * value for value in range(2_000_000))
    used = usage(os.getpid()).since(before)
    assert 0.01 < used.cpu <= used.at + 0.1
    assert before.rss > 2**20
