"""A worker and what its sessions with coders do unasked: whatever fails there is counted and told, and ends no call."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cubeproxy.media.codecs.base import CodecMissing, Pcm
from cubeproxy.media.commands import Fault, OpenCoding, Update, decode
from cubeproxy.media.counters import UNSENT
from cubeproxy.media.transcoding import CodingSession
from cubeproxy.media.worker import Worker

from .ends import End
from .signals import tone

SESSION = 7


class Gone:
    """A decoder whose library is."""

    rate = 8000

    def decode(self, payload: bytes) -> Pcm:
        raise CodecMissing("gone")

    def conceal(self, samples: int) -> Pcm:
        raise CodecMissing("gone")

    def close(self) -> None: ...


@pytest.fixture
def seam() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def waiting(worker: Worker, second: End) -> CodingSession:
    """A session that heard a packet of leg 0, and the one after the next."""
    ports = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach() for _ in range(4)]
    worker._obey(OpenCoding(SESSION, 0, socket.AF_INET, socket.AF_INET), ports, 0.0)
    first = End(4000, "pcmu")
    worker._obey(Update(SESSION, (first.leg, second.leg)), [], 0.0)
    session = worker._coding[SESSION]
    heard, _missing, waits = first.packets(tone(8000, 0.06))
    assert session.receive(0, heard, first.address, 1.0) is not None
    assert session.receive(0, waits, first.address, 1.04) is None
    return session


def test_a_codec_that_is_lost_while_a_packet_is_waited_for_ends_no_worker(
    seam: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = seam
    worker = Worker(theirs)
    session = waiting(worker, End(4002, "pcma"))
    coder = session._coding[0].coder
    assert coder is not None
    coder._decoder = Gone()
    worker._ring(2.0)
    report = decode(ours.recv(4096))
    assert isinstance(report, Fault)
    assert report.text.startswith("CodecMissing at ")
    assert session.deadline is None


def test_what_the_kernel_does_not_take_is_counted_there_too(seam: tuple[socket.socket, socket.socket]) -> None:
    nobody = End(4002, "pcma")
    nobody.address = ("255.255.255.255", 9)  # without SO_BROADCAST nothing can be sent there
    worker = Worker(seam[1])
    session = waiting(worker, nobody)
    worker._ring(2.0)
    assert session.legs[1].words[UNSENT] == 2
