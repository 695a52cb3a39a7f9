"""Counters of media sessions in memory that the worker writes and signalling reads, without asking.

The memory is a memfd made by signalling and passed to the worker. It is cut into slots, one a
session; a slot is a row of native unsigned 64-bit words: the session's number, then a block of words
for each leg. Every word has one writer, and an aligned word is stored whole, so a reader never waits
and never sees half a number; two words need not be from the same instant.

Besides the words of `StreamCounters` a leg has the last SRTP index (ROC << 16 | sequence number, RFC 3711
3.3.1) that it received and sent: what a successor of a dead worker would need to go on.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import fields
from operator import add as plus

from cubeproxy.protocols.values import StreamCounters

(
    RECEIVED,
    RECEIVED_OCTETS,
    SENT,
    SENT_OCTETS,
    LOST,
    LATE,
    AUTH_FAILURES,
    REPLAYS,
    STRANGERS,
    MALFORMED,
    RTCP_DROPPED,
    JITTER,  # RFC 3550 A.8: sixteen times the jitter, in timestamp units
    INDEX_IN,
    INDEX_OUT,
    RTCP_RECEIVED,
    RTCP_SENT,
    PEER_LOST,  # the last three as the peer's last report says of what we send
    PEER_JITTER,  # timestamp units
    ROUND_TRIP,  # 1/65536 s
    UNSENT,  # packets among the sent ones that the kernel did not take
) = range(20)

LEG_WORDS = 24  # four in reserve
SLOT_WORDS = 8 + 2 * LEG_WORDS  # word 0 is the session, seven in reserve
SLOT_OCTETS = 8 * SLOT_WORDS

Words = memoryview  # of format "Q"
Health = tuple[int, int, int]  # packets accepted, packets that failed authentication, datagrams that do not belong here


def private_words() -> Words:
    """The words of a leg that nobody shares: for a relay without a worker."""
    return memoryview(bytearray(8 * LEG_WORDS)).cast("Q")


def create(slots: int) -> int:
    """A new memory for `slots` sessions: its descriptor, not inheritable."""
    descriptor = os.memfd_create("cubeproxy-counters", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, slots * SLOT_OCTETS)
    return descriptor


class Board:
    """The slots behind a descriptor, for the one who writes and the one who reads."""

    def __init__(self, descriptor: int) -> None:
        self.slots = os.fstat(descriptor).st_size // SLOT_OCTETS
        self._words = memoryview(mmap.mmap(descriptor, self.slots * SLOT_OCTETS)).cast("Q")

    def claim(self, slot: int, session: int) -> tuple[Words, Words]:
        """Clear a slot for a session; the words of leg 0 and leg 1, to be written."""
        start = slot * SLOT_WORDS
        words = self._words
        words[start] = 0
        for position in range(start + 1, start + SLOT_WORDS):
            words[position] = 0
        words[start] = session
        return self._leg(slot, 0), self._leg(slot, 1)

    def read(self, slot: int, session: int) -> tuple[StreamCounters, StreamCounters]:
        """What both legs of a session counted; zeros while the worker has not claimed the slot yet."""
        if self._words[slot * SLOT_WORDS] != session:
            return StreamCounters(), StreamCounters()
        return stream_counters(self._leg(slot, 0)), stream_counters(self._leg(slot, 1))

    def add(self, total: list[int], slot: int, session: int) -> None:
        """Add the words of both legs of a session to those of a total; nothing while the slot is not claimed."""
        if self._words[slot * SLOT_WORDS] == session:
            total[:] = map(plus, map(plus, total, self._leg(slot, 0)), self._leg(slot, 1))

    def health(self, slot: int, session: int) -> tuple[Health, Health]:
        """A few words of both legs; cheap enough to be asked for every call a second."""
        start = slot * SLOT_WORDS
        if self._words[start] != session:
            return (0, 0, 0), (0, 0, 0)
        return self._health(start + 8), self._health(start + 8 + LEG_WORDS)

    def _health(self, leg: int) -> Health:
        words = self._words
        failed = words[leg + AUTH_FAILURES]
        noise = failed + words[leg + REPLAYS] + words[leg + STRANGERS] + words[leg + MALFORMED]
        return words[leg + RECEIVED], failed, noise

    def indexes(self, slot: int, leg: int) -> tuple[int, int]:
        """The last SRTP index received and sent on a leg."""
        words = self._leg(slot, leg)
        return words[INDEX_IN], words[INDEX_OUT]

    def _leg(self, slot: int, leg: int) -> Words:
        start = slot * SLOT_WORDS + 8 + leg * LEG_WORDS
        return self._words[start : start + LEG_WORDS]


GAUGES = ("jitter", "peer_lost", "peer_jitter", "round_trip")  # how it is, not how often it was: a sum says nothing
SUMMED = tuple(each.name for each in fields(StreamCounters) if each.name not in GAUGES)


def stream_counters(words: Words | list[int]) -> StreamCounters:
    """A leg's words as a value."""
    values = list(words[: UNSENT + 1])
    values[JITTER] >>= 4
    del values[INDEX_IN : INDEX_OUT + 1]
    return StreamCounters(*values)
