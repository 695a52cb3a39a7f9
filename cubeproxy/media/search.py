"""Where a packet is tried whose tag does not verify: other rollover counters than the one that we expect.

Under a new key a peer's counter is 0, or the one from before (RFC 3711 3.3.1 and RFC 4568 7.1.4 disagree, and so do
endpoints). Where a stream is joined that others carried before us it may be any: SDES and SCCP do not tell it. The tag
does. Each try is a guess at a tag, so searches are bounded three ways: the counters that are worth a try, the time
between two searches, and their number in all.
"""

from __future__ import annotations

from cubeproxy.protocols.srtp import SrtpError, SrtpReceiver

JOINED = 64  # counters at which a stream that is joined late is looked for: 23 h at 50 packets a second
PAUSE = 0.02  # s between two searches, whatever is sprayed at us
SEARCHES = 3000  # under one key: a minute of packets that fail


class Search:
    """For one key of one leg.

    A peer that kept its counter over a change of key is looked for until its first packet verifies. A stream that is
    joined late is looked for after that too, upwards, since a packet of its past may have been played to us first; and
    only from where we send to, so that a stranger cannot use up what there is.
    """

    __slots__ = ("_at", "_joins", "_left", "_rollovers")

    def __init__(self, kept: int | None, joins: bool) -> None:
        """`kept` is the counter under the key before."""
        near = range(max(kept - 1, 0), kept + 2) if kept is not None else range(0)
        self._rollovers = range(max(JOINED, near.stop)) if joins else near
        self._joins = joins
        self._left = SEARCHES if self._rollovers else 0
        self._at = 0.0

    def packet(self, receiver: SrtpReceiver, datagram: bytes, expected: bool, now: float) -> bytes | None:
        """The clear packet, None when it was not tried or fits nowhere. `expected`: by its source address."""
        if not self._left or now < self._at or not (expected if self._joins else receiver.index is None):
            return None
        self._left -= 1
        self._at = now + PAUSE
        try:
            return receiver.search(datagram, self._rollovers)
        except SrtpError:
            return None


NOWHERE = Search(None, False)
