"""Our two ends on a line that loses, doubles and reorders: the file is whole, or both say that it failed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.tftp import (
    Ack,
    Completed,
    Data,
    Effect,
    Error,
    Failed,
    OptionAck,
    Pace,
    Received,
    Receiver,
    Request,
    Send,
    Sender,
    Terms,
    parse_packet,
)
from cubeproxy.protocols.values import Address

CLIENT: Address = ("127.0.10.9", 50123)
SERVER: Address = ("127.0.20.1", 69)
TID: Address = ("127.0.20.1", 42001)
PATIENT = Pace(tries=40, session=6000.0, patience=600.0)


class Line:
    """A clock, the two ends, and what is under way between them."""

    def __init__(self, content: bytes, wanted: Terms, loss: float, seed: int) -> None:
        self.random = random.Random(seed)
        self.content = content
        self.loss = loss
        self.now = 0.0
        self.client = Receiver("x", SERVER, wanted, PATIENT, largest=len(content))
        self.server: Sender | None = None
        self.under_way: list[tuple[float, bytes, Address, Address]] = []
        self.results: list[Effect] = []
        self.octets_out = 0
        self.take(self.client.start(0.0), CLIENT)

    def take(self, out: list[Effect], source: Address) -> None:
        for effect in out:
            if not isinstance(effect, Send):
                self.results.append(effect)
                continue
            self.octets_out += len(effect.data)
            for _ in range(self.random.choice((1, 1, 1, 2)) if self.loss else 1):
                if self.random.random() >= self.loss:
                    delay = self.random.uniform(0.01, 0.05) if self.loss else 0.01
                    self.under_way.append((self.now + delay, effect.data, source, effect.to))

    def run(self) -> None:
        for _ in range(50_000):
            ends = [end for end in (self.client, self.server) if end is not None]
            times = [end.deadline for end in ends if end.deadline is not None] + [one[0] for one in self.under_way]
            if not times:
                return
            self.now = min(times)
            for one in [one for one in self.under_way if one[0] <= self.now]:
                self.under_way.remove(one)
                self.deliver(*one[1:])
            for end in ends:
                self.take(end.timeout(self.now), CLIENT if end is self.client else TID)
        raise AssertionError("the two never come to an end")

    def deliver(self, data: bytes, source: Address, to: Address) -> None:
        if to == CLIENT:
            self.take(self.client.receive(data, source, self.now), CLIENT)
        elif to == TID:
            assert self.server is not None
            self.take(self.server.receive(data, source, self.now), TID)
        elif self.server is None:
            request = parse_packet(data)
            assert isinstance(request, Request)
            self.server = Sender(self.content, request, source, PATIENT)
            self.take(self.server.start(self.now), TID)
        else:
            self.take(self.server.repeat(self.now), TID)


@given(
    st.integers(0, 3000),
    st.sampled_from([8, 100, 512, 1428]),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.integers(0, 9999),
)
@settings(max_examples=60, deadline=None)
def test_the_file_arrives_whole(size: int, block_size: int, window: int, loss: float, seed: int) -> None:
    content = random.Random(size).randbytes(size)
    line = Line(content, Terms(block_size=block_size, window=window), loss, seed)
    line.run()
    received = [effect.content for effect in line.results if isinstance(effect, Received)]
    assert received in ([content], []) if loss else received == [content]
    assert received or any(isinstance(effect, Failed) for effect in line.results)
    if not loss:
        assert [effect.octets for effect in line.results if isinstance(effect, Completed)] == [size]


@pytest.mark.parametrize("window", [1, 8])
def test_a_good_line_carries_each_block_once(window: int) -> None:
    line = Line(bytes(10_000), Terms(block_size=500, window=window), 0.0, 0)
    sent: list[int] = []
    take = line.take

    def count(out: list[Effect], source: Address) -> None:
        packets = [parse_packet(effect.data) for effect in out if isinstance(effect, Send)]
        sent.extend(packet.block for packet in packets if isinstance(packet, Data))
        take(out, source)

    line.take = count  # type: ignore[method-assign]
    line.run()
    assert sent == list(range(1, 22))


hostile = st.one_of(
    st.binary(max_size=20),
    st.builds(Ack, st.integers(0, 12)).map(Ack.serialise),
    st.builds(Data, st.integers(0, 4), st.sampled_from([b"", bytes(8), bytes(512), bytes(600)])).map(Data.serialise),
    st.builds(OptionAck, st.sampled_from([{"blksize": "8"}, {"tsize": "9"}, {}])).map(OptionAck.serialise),
    st.just(Error(0, "x").serialise()),
)


@given(
    st.booleans(), st.lists(st.tuples(hostile, st.sampled_from([CLIENT, SERVER, TID]), st.floats(0, 9)), max_size=30)
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_the_peers_fault(options: bool, script: list[tuple[bytes, Address, float]]) -> None:
    """Neither end ever raises, and both come to an end."""
    wanted = Terms(block_size=8, window=2) if options else Terms()
    receiver = Receiver("x", SERVER, wanted)
    sender = Sender(bytes(100), receiver.request, CLIENT)
    for end in (receiver, sender):
        now = 0.0
        end.start(now)
        for data, source, delay in script:
            now += delay
            end.receive(data, source, now)
            end.timeout(now)
        for _ in range(20):
            end.timeout(end.deadline or now)
        assert end.over
