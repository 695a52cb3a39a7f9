"""The numbers of one direction: what a sender counts goes in, what we count comes out.

What we send is our own stream: one SSRC, sequence numbers and timestamps that go on whatever the sender
does. While a sender is steady, its numbers are moved by a constant, so that loss, reordering and silence
arrive at the other side as they were. When it changes (another SSRC, a restart, the end of a hold) the
stream is joined: the next sequence number, a timestamp moved by the time that passed, and the marker bit,
which tells a receiver to resynchronise (RFC 3551 4.1).

One rule above all: no sequence number goes out twice, for under SRTP that would use a keystream twice.
So a number that came before, or that lies before the last join, is refused.
"""

from __future__ import annotations

import secrets

from cubeproxy.media.counters import JITTER, LATE, LOST, REPLAYS, Words

WINDOW = 128  # packets that may be overtaken
DROPOUT = 3000  # a gap as long as this is a new beginning (RFC 3550 A.1 MAX_DROPOUT)
SEEN = (1 << WINDOW) - 1
MASK32 = 0xFFFFFFFF


class Numbering:
    """`take` judges the sender's numbers, `place` turns those of an accepted packet into ours.

    Times are seconds of any steady clock. `words` are the counters of the sender's leg.
    """

    __slots__ = (
        "_floor",
        "_offset",
        "_restart",
        "_seen",
        "_timestamp_offset",
        "_transit",
        "clock",
        "counted",
        "first",
        "fresh",
        "highest",
        "join",
        "last",
        "least_step",
        "lost_before",
        "sent_at",
        "source",
        "ssrc",
        "timestamp",
        "words",
    )

    def __init__(self, words: Words, clock: int = 8000, ptime: int = 20) -> None:
        self.words = words
        self.clock = clock  # Hz, of what goes out
        self.counted = clock  # of what comes in: another one where a coder stands between
        self.least_step = clock * ptime // 1000
        self.source: int | None = None  # SSRC of the sender
        self.highest = 0  # newest sequence number taken, counted on beyond 16 bits
        self.fresh = True  # whether the packet taken last was newer than all before
        self.join = True  # the next packet out joins the stream anew
        self._seen = 0  # bit n: highest - n has been taken
        self._restart = -1  # the sequence number that would confirm a restart of the sender
        self._transit = 0
        # A start well inside the first half: RFC 3711 3.3.1 guesses the rollover wrongly near the wrap.
        self.ssrc = secrets.randbelow(MASK32) + 1
        self.last = secrets.randbelow(0x4000) + 0x1000  # newest index that went out
        self.timestamp = secrets.randbits(32)  # of the packet that went out last
        self.sent_at = 0.0
        self.first = 0  # sequence number of this sender, counted like `highest`
        self.lost_before = 0  # packets that its predecessors had lost
        self._floor = 0  # nothing below goes out any more
        self._offset = 0
        self._timestamp_offset = 0

    def take(self, source: int, sequence: int) -> bool:
        """Whether this packet of the sender is to be used. Counts loss, lateness and repetition."""
        if source != self.source:
            self._begin(source, sequence)
            return True
        step = (sequence - self.highest) & 0xFFFF
        if step == 1:
            self.highest += 1
            self._seen = (self._seen << 1 | 1) & SEEN
            self._restart = -1
            self.fresh = True
            return True
        if 0 < step < DROPOUT:
            self.highest += step
            self._seen = (self._seen << step | 1) & SEEN
            self.words[LOST] += step - 1
            self._restart = -1
            self.fresh = True
            return True
        return self._irregular(sequence, step)

    def _begin(self, source: int, sequence: int) -> None:
        """A sender that we did not know, or one that counts anew."""
        self.source = source
        self.highest = self.first = 0x10000 | sequence  # room below for packets that were overtaken at the start
        self._seen = 1
        self.lost_before = self.words[LOST]
        self.fresh = self.join = True
        self._restart = -1
        self._transit = 0

    def _irregular(self, sequence: int, step: int) -> bool:
        """Overtaken, repeated, or a jump. A jump counts when the next packet confirms it (RFC 3550 A.1)."""
        behind = 0x10000 - step if step else 0
        if behind < WINDOW:
            self.fresh = False
            return self._late(behind)
        if sequence == self._restart:
            self._begin(self.source or 0, sequence)
            return True
        self._restart = (sequence + 1) & 0xFFFF
        self.words[LATE] += 1
        return False

    def _late(self, behind: int) -> bool:
        position, bit = self.highest - behind, 1 << behind
        if self._seen & bit:
            self.words[REPLAYS] += 1
            return False
        self._seen |= bit
        self.words[LATE] += 1
        if position > self.first and self.words[LOST]:
            self.words[LOST] -= 1
        return position >= self._floor and not self.join

    def measure(self, timestamp: int, now: float) -> None:
        """Interarrival jitter by the integer method of RFC 3550 A.8; for packets that `take` called fresh."""
        transit = (int(now * self.counted) - timestamp) & MASK32
        if self._transit:
            difference = (transit - self._transit) & MASK32
            if difference > 0x7FFFFFFF:
                difference = 0x100000000 - difference
            words = self.words
            jitter = words[JITTER]
            words[JITTER] = jitter + difference - ((jitter + 8) >> 4)
        self._transit = transit

    def place(self, timestamp: int, now: float) -> tuple[int, int]:
        """Index and timestamp of a packet that was just taken as fresh. The index counts beyond 16 bits."""
        if self.join:
            self._join(timestamp, now)
        self.last = index = self.highest + self._offset
        self.sent_at = now
        self.timestamp = stamp = (timestamp + self._timestamp_offset) & MASK32
        return index, stamp

    def place_late(self, sequence: int, timestamp: int) -> tuple[int, int]:
        """The same for a packet that was taken although newer ones went before."""
        behind = (self.highest - sequence) & 0xFFFF
        return self.highest - behind + self._offset, (timestamp + self._timestamp_offset) & MASK32

    def _join(self, timestamp: int, now: float) -> None:
        """Go on after the last packet that went out; nothing from before may follow."""
        if self.sent_at:
            passed = max(int((now - self.sent_at) * self.clock), self.least_step)
            self._timestamp_offset = (self.timestamp + passed - timestamp) & MASK32
            self._floor = self.highest
        else:
            self._timestamp_offset = (self.timestamp - timestamp) & MASK32
        self._offset = self.last + 1 - self.highest
        self.join = False

    def forget_late(self) -> None:
        """Refuse whatever was overtaken until now: the key that would protect it has changed."""
        self._floor = self.highest + 1
