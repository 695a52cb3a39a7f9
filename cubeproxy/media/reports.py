"""RTCP of one leg: what its peer reports ends here, and what we report is about this leg alone. Sans-IO.

A leg is an end of RTP of its own, so nothing of the other leg's RTCP can be true on it: packet counts, timestamps,
sequence numbers and loss are ours to tell (RFC 3550 7.2), and on a secure leg they leave as SRTCP. Two rules:

* a report is believed like a packet: by its tag on a secure leg, by its source on a clear one; and all that it can
  move is a statistic. A BYE ends a source, never a call;
* we report only what happened on this leg: a sender report when something was sent since the last one but one, a
  block about the peer when something of it arrived since the last one (RFC 3550 6.4). Repetitions are not counted as
  received: on a secure leg they are replays, which must not improve what we tell.

The interval is that of RFC 3550 6.2 and 6.3.1 for the two members that a leg has: its minimum, half of it for the
first report, and a random half more or less, so that the legs of many calls do not speak at once.
"""

from __future__ import annotations

import base64
import secrets

from cubeproxy.media.counters import (
    AUTH_FAILURES,
    JITTER,
    LOST,
    MALFORMED,
    PEER_JITTER,
    PEER_LOST,
    RECEIVED,
    REPLAYS,
    ROUND_TRIP,
    RTCP_RECEIVED,
    RTCP_SENT,
    SENT,
    SENT_OCTETS,
    STRANGERS,
)
from cubeproxy.media.leg import Leg
from cubeproxy.media.numbering import Numbering
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    parse,
    serialise,
)
from cubeproxy.protocols.rtp import Kind, classify
from cubeproxy.protocols.srtp import Replayed, SrtpError
from cubeproxy.protocols.values import Address

INTERVAL = 5.0  # s: the least that RFC 3550 6.2 allows, and far above what its bandwidth rule gives for a call
COMPENSATION = 1.21828  # e - 3/2: timer reconsideration makes reports come earlier than they were drawn (6.3.1)
NTP_EPOCH = 2_208_988_800  # s from 1900 to 1970
MASK32 = 0xFFFFFFFF
MAX_LOST = 0x7FFFFF  # what the 24 bits hold


class Reporter:
    """`inbound` are the numbers of what the peer sends, `outbound` those of what we send it.

    `wall` is the time of day in s since 1970 at `now`; later times of day are told by the steady clock from there.
    """

    def __init__(
        self, leg: Leg, inbound: Numbering, outbound: Numbering, interval: float, now: float, wall: float
    ) -> None:
        self.leg = leg
        self._inbound = inbound
        self._outbound = outbound
        self._interval = interval
        self._epoch = wall - now + NTP_EPOCH
        self._next = now + self._draw() / 2
        # RFC 7022 4.2: a name for this leg of this call, from which nobody learns of any other.
        self._cname = base64.b64encode(secrets.token_bytes(12)).decode()
        self._learnt: Address | None = None  # where verified reports came from, behind a NAT another than signalled
        self._last_sr: tuple[int, int, float] | None = None  # SSRC, middle of its NTP time, when it came
        self._ssrc = outbound.ssrc
        self._base = (0, 0)  # packets and octets that went out under other SSRCs
        self._sent = (0, 0)  # packets sent by the last report and by the one before
        self._told = (0, 0)  # highest sequence number and loss of the last block
        self._about: tuple[int, int] | None = None  # SSRC and beginning of what it was about
        self._received = 0  # packets received by then

    def renegotiated(self, moved: bool) -> None:
        """After an update of the session; `moved` when the peer has another address now."""
        if moved:
            self._learnt = None
        if self._outbound.ssrc != self._ssrc:
            words = self.leg.words
            self._ssrc, self._base = self._outbound.ssrc, (words[SENT], words[SENT_OCTETS])

    @property
    def target(self) -> Address | None:
        """Where reports go: as learnt, as signalled, or to the port next to that of the packets."""
        leg = self.leg
        if leg.spec is None or leg.peer is None:
            return None
        if leg.muxed:
            return leg.peer
        return self._learnt if self._learnt is not None else leg.rtcp_peer

    def receive(self, datagram: bytes, source: Address, now: float) -> None:
        """A datagram that may be a report of the peer. Counts what it is."""
        words = self.leg.words
        if classify(datagram) is not Kind.RTCP:
            words[MALFORMED] += 1
            return
        compound = self._open(datagram, source, now)
        if compound is None:
            return
        try:
            reports = parse(compound)
        except RemoteProtocolError:
            words[MALFORMED] += 1
            return
        words[RTCP_RECEIVED] += 1
        for report in reports:
            if isinstance(report, SenderReport):
                self._heard(report, now)
            if isinstance(report, SenderReport | ReceiverReport):
                for block in report.blocks:
                    if block.ssrc == self._outbound.ssrc:
                        self._reported(block, now)
            elif isinstance(report, Goodbye) and self._last_sr is not None and self._last_sr[0] in report.ssrcs:
                self._last_sr = None

    def _open(self, datagram: bytes, source: Address, now: float) -> bytes | None:
        leg = self.leg
        if leg.receiver is None:
            return datagram if self._expected(source) else None
        try:
            compound = leg.open_rtcp(datagram, now)
        except Replayed:
            leg.words[REPLAYS] += 1
            return None
        except SrtpError:
            leg.words[AUTH_FAILURES] += 1
            return None
        if source != self.target:
            self._learnt = source
        return compound

    def _expected(self, source: Address) -> bool:
        """Whether a clear leg's peer reports from there; behind a NAT (`latch`) its port is not known beforehand."""
        leg, target = self.leg, self.target
        if target is not None and source == target:
            return True
        spec, peer = leg.spec, leg.peer
        if spec is not None and spec.latch and not leg.unsettled and peer is not None and source[0] == peer[0]:
            self._learnt = source
            return True
        leg.words[STRANGERS] += 1
        return False

    def _heard(self, report: SenderReport, now: float) -> None:
        if self._inbound.source is None or report.ssrc == self._inbound.source:
            self._last_sr = (report.ssrc, _middle(report.ntp), now)

    def _reported(self, block: ReportBlock, now: float) -> None:
        words = self.leg.words
        words[PEER_LOST] = max(block.lost, 0)
        words[PEER_JITTER] = block.jitter
        if block.last_sr:
            round_trip = (_middle(self._ntp(now)) - block.last_sr - block.delay) & MASK32
            if round_trip < 0x80000000:  # a clock that the peer rounds may give a little less than nothing
                words[ROUND_TRIP] = round_trip

    # what we tell

    def report(self, now: float, *, last: bool = False) -> tuple[bytes, Address] | None:
        """A report, when it is time for one and there is something to tell, and where it goes.

        The `last` one is due at once, and takes leave (RFC 3550 6.3.7).
        """
        if now < self._next and not last:
            return None
        self._next = now + self._draw()
        leg, words, target = self.leg, self.leg.words, self.target
        if target is None or not (words[SENT] or words[RECEIVED]):
            return None
        leave = [Goodbye([self._ssrc])] if last else []
        compound = serialise(self._compose(now), SourceDescription(self._ssrc, self._cname), *leave)
        if leg.spec is not None and leg.spec.send_key is not None:
            try:
                compound = leg.protect_rtcp(compound)
            except LocalProtocolError:
                return None
        words[RTCP_SENT] += 1
        return compound, target

    def _compose(self, now: float) -> SenderReport | ReceiverReport:
        words, out = self.leg.words, self._outbound
        blocks = self._blocks(now)
        sent, (before, earlier) = words[SENT], self._sent
        self._sent = (sent, before)
        if sent == earlier or sent == self._base[0]:
            return ReceiverReport(self._ssrc, blocks)
        timestamp = (out.timestamp + int((now - out.sent_at) * out.clock)) & MASK32
        packets, octets = sent - self._base[0], words[SENT_OCTETS] - self._base[1]
        return SenderReport(self._ssrc, self._ntp(now), timestamp, packets & MASK32, octets & MASK32, blocks)

    def _blocks(self, now: float) -> list[ReportBlock]:
        """What became of the peer's packets: one block, or none when nothing came since the last report."""
        words, numbers = self.leg.words, self._inbound
        received, self._received = self._received, words[RECEIVED]
        if numbers.source is None or words[RECEIVED] == received:
            return []
        highest, lost = numbers.highest - 0x10000, max(words[LOST] - numbers.lost_before, 0)
        about = (numbers.source, numbers.first)
        told, missed = self._told if about == self._about else (numbers.first - 0x10001, 0)
        self._told, self._about = (highest, lost), about
        expected, missing = highest - told, max(lost - missed, 0)
        fraction = min(missing * 256 // expected, 255) if expected > 0 else 0
        since = self._last_sr
        last_sr, delay = 0, 0
        if since is not None and since[0] == numbers.source:
            last_sr, delay = since[1], int((now - since[2]) * 65536) & MASK32
        jitter = words[JITTER] >> 4
        return [ReportBlock(numbers.source, fraction, min(lost, MAX_LOST), highest & MASK32, jitter, last_sr, delay)]

    def _draw(self) -> float:
        return self._interval * (0.5 + secrets.randbelow(1 << 16) / (1 << 16)) / COMPENSATION

    def _ntp(self, now: float) -> int:
        return int((now + self._epoch) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def _middle(ntp: int) -> int:
    return ntp >> 16 & MASK32
