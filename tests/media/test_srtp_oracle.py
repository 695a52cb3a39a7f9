"""Both SRTP implementations against libsrtp itself: random loss, reordering, repetition, wraps and changes of SSRC.

What one end protects the other must read, packet by packet, and what libsrtp refuses is refused here. `ours` are the
objects of `cubeproxy.protocols.srtp`, and the native core behind the same four methods.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.srtp import Replayed, SrtpError, SrtpReceiver, SrtpSender
from cubeproxy.protocols.suites import MasterKey, Suite

from . import builds
from .native_hook import Hook, NativeContexts
from .phones import inbound, key, outbound

SSRC = 0x1234ABCD
Make = Callable[[MasterKey, int], Any]


class PythonContexts:
    """A sender and a receiver in one, like `NativeContexts`."""

    def __init__(self, made: MasterKey, ssrc: int) -> None:
        sender, receiver = SrtpSender(made, ssrc), SrtpReceiver(made)
        self.protect, self.protect_rtcp = sender.protect, sender.protect_rtcp
        self.unprotect, self.unprotect_rtcp = receiver.unprotect, receiver.unprotect_rtcp


@pytest.fixture(scope="module", params=["python", "native"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    if request.param == "python":
        yield PythonContexts
        return
    if builds.missing():
        pytest.skip(builds.missing())
    hook = Hook(builds.worker())
    yield lambda made, ssrc: NativeContexts(hook, made, ssrc)
    assert hook.end() == ""


def packet(index: int, ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, index & 0xFFFF, index * 160 & 0xFFFFFFFF, ssrc) + index.to_bytes(6, "big") * 9


def report(number: int, ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHIII", 0x80, 201, 3, ssrc, number, 7)


def journey(seed: int, count: int, start: int) -> list[int]:
    """Indices in the order of their arrival: a tenth lost, some repeated, some up to 60 places late, with leaps."""
    source = random.Random(seed)
    index, sent = start, []
    for _ in range(count):
        index += 1 if source.random() < 0.98 else source.randrange(2, 20)
        if source.random() > 0.1:
            sent.append(index)
        if source.random() < 0.05:
            sent.append(index)
    return [
        index for _place, index in sorted((place + source.uniform(0, 60), index) for place, index in enumerate(sent))
    ]


def judged(unprotect: Callable[[bytes], bytes], datagram: bytes) -> bytes | None:
    try:
        return unprotect(datagram)
    except (pylibsrtp.Error, SrtpError):
        return None


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("seed", range(3))
def test_what_libsrtp_sends_is_read_as_libsrtp_reads_it(make: Make, suite: Suite, seed: int) -> None:
    """Over a wrap or two, with two sources that change places; the judge is a second libsrtp with our window."""
    made = key(seed, suite)
    ours, theirs, judge = make(made, SSRC), outbound(made), SrtpReceiver(made)
    sources = {ssrc: journey(seed ^ ssrc, 600, 65_000) for ssrc in (SSRC, 77)}
    protected = {
        (ssrc, index): theirs.protect(packet(index, ssrc))
        for ssrc, path in sources.items()
        for index in sorted(set(path))
    }
    order = [(ssrc, index) for ssrc, path in sources.items() for index in path]
    turns = [order[place : place + 40] for place in range(0, len(order), 40)]
    read = 0
    for ssrc, index in (each for turn in sorted(turns, key=lambda turn: turn[0][1]) for each in turn):
        datagram = protected[ssrc, index]
        heard = judged(ours.unprotect, datagram)
        assert heard == judged(judge.unprotect, datagram)
        if heard is not None:
            read += 1
            assert heard == packet(index, ssrc)
    assert read == len(protected), "each exactly once"
    assert max(index for _ssrc, index in protected) > 65_536


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("seed", range(3))
def test_what_we_send_is_read_by_libsrtp(make: Make, suite: Suite, seed: int) -> None:
    """Packets of a relay leave in the order of arrival, overtaken ones too; libsrtp reads each once."""
    made = key(seed, suite)
    ours, theirs = make(made, SSRC), inbound(made)
    read: set[int] = set()
    for index in journey(seed, 900, 64_900):
        try:
            datagram = ours.protect(packet(index))
        except LocalProtocolError:
            assert index in read, "only what was sent before is refused"
            continue
        assert theirs.unprotect(datagram) == packet(index)
        read.add(index)
    assert max(read) > 65_536


@pytest.mark.parametrize("suite", Suite)
def test_reports_both_ways_with_loss_reordering_and_repetition(make: Make, suite: Suite) -> None:
    made = key(9, suite)
    ours, theirs, reader = make(made, SSRC), outbound(made), inbound(made)
    for number in range(5):
        assert reader.unprotect_rtcp(ours.protect_rtcp(report(number))) == report(number)
    sent = [theirs.protect_rtcp(report(number, ssrc)) for number in range(120) for ssrc in (SSRC, 77)]
    order = random.Random(4).sample(range(len(sent)), 200)
    for place in order:
        assert ours.unprotect_rtcp(sent[place]) == report(place // 2, (SSRC, 77)[place % 2])
    for place in order:
        with pytest.raises(Replayed):
            ours.unprotect_rtcp(sent[place])


@pytest.mark.parametrize("suite", Suite)
@settings(max_examples=25, deadline=None)
@given(mki=st.binary(min_size=1, max_size=128), wrong=st.binary(min_size=1, max_size=128))
def test_an_identifier_is_sent_and_demanded(make: Make, suite: Suite, mki: bytes, wrong: bytes) -> None:
    """RFC 3711 3.1 and RFC 7714 8.3, 9.2. Without it, or with another, a packet is not ours."""
    made = MasterKey(suite, key(3, suite).master, mki)
    ours, bare = make(made, SSRC), inbound(key(3, suite))
    for number, (protect, unprotect, tag, theirs, clear) in enumerate(
        (
            (ours.protect, ours.unprotect, suite.sizes.tag, bare.unprotect, packet(5)),
            (ours.protect_rtcp, ours.unprotect_rtcp, suite.sizes.rtcp_tag, bare.unprotect_rtcp, report(5)),
        )
    ):
        protected = protect(clear)
        end = len(protected) - (0 if "GCM" in suite.value else tag)
        assert protected[end - len(mki) : end] == mki, number
        without = protected[: end - len(mki)] + protected[end:]
        assert theirs(without) == clear
        other = protected[: end - len(mki)] + wrong + protected[end:]
        if wrong != mki:
            with pytest.raises(SrtpError):
                unprotect(other)
        with pytest.raises(SrtpError):
            unprotect(without)
        assert unprotect(protected) == clear


def test_a_report_that_is_not_encrypted_is_refused(make: Make) -> None:
    """An E bit of 0 would let UNENCRYPTED_SRTCP in by the back door."""
    ours = make(key(1), SSRC)
    protected = bytearray(outbound(key(1)).protect_rtcp(report(1)))
    protected[-14] &= 0x7F
    with pytest.raises(SrtpError):
        ours.unprotect_rtcp(bytes(protected))
