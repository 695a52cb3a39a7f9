"""The packet path of one session: datagram in, datagram out, no socket.

Media is terminated here, in software: of a packet only payload, marker and the order of things survive.
SSRC, sequence number, timestamp and payload type are ours (`numbering`), CSRC list, header extension and
padding stay behind, RTCP ends here. Both legs carry the same codec; where they do not, `transcoding` stands
behind the same interface. The exception is a session whose legs both say `PASS_THROUGH`: its packets and its RTCP go on
octet by octet, for somebody else has their keys.
"""

from __future__ import annotations

import secrets
from typing import ClassVar

from cubeproxy.media.counters import (
    INDEX_OUT,
    MALFORMED,
    RECEIVED,
    RECEIVED_OCTETS,
    RTCP_RECEIVED,
    RTCP_SENT,
    SENT,
    SENT_OCTETS,
    STRANGERS,
    Words,
    private_words,
)
from cubeproxy.media.leg import Leg, same_key
from cubeproxy.media.numbering import Numbering
from cubeproxy.media.reports import Reporter
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.rtp import COMFORT_NOISE, HEADER, Kind, classify, payload_span
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import PASS_THROUGH, Address, StreamSpec

Specs = tuple[StreamSpec | None, StreamSpec | None]


class Direction:
    """From one leg to the other: payload types, numbers, and whether anything may pass."""

    __slots__ = ("audio", "numbering", "opaque", "passes", "sink", "source", "types")

    def __init__(self, source: Leg, sink: Leg) -> None:
        self.source = source
        self.sink = sink
        self.numbering = Numbering(source.words)
        self.types: dict[int, int] = {}
        self.audio = -1  # payload type of the codec as the source calls it
        self.passes = False
        self.opaque = False

    def update(self, old_sink: StreamSpec | None) -> None:
        """Take over what both legs say now."""
        source, sink = self.source.spec, self.sink.spec
        self.types = _types(source, sink)
        self.audio = source.payload_type if source else -1
        self.passes = source is not None and sink is not None and source.receives and sink.sends
        self.opaque = source is not None and sink is not None and source.codec == sink.codec == PASS_THROUGH
        numbering = self.numbering
        if sink is not None and numbering.clock != sink.codec.clock:
            numbering.clock, numbering.join = sink.codec.clock, True
        if source is not None:
            numbering.counted = source.codec.clock
        if sink is not None:
            numbering.least_step = sink.codec.clock * sink.ptime // 1000
        self._change_key(old_sink.send_key if old_sink else None)

    def _change_key(self, old: MasterKey | None) -> None:
        sink = self.sink
        new = sink.spec.send_key if sink.spec else None
        if not same_key(old, new):
            self.numbering.forget_late()
        before = old if sink.sender is not None else None
        self.numbering.ssrc = sink.protect_with(before, new, self.numbering.ssrc, secrets.randbits(32))

    def relay(self, packet: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        """What goes out for a clear packet that the source leg accepted, and where to."""
        taken = self._take(packet, source, now)
        if taken is None:
            return None
        second, sequence, timestamp, payload = taken
        numbering, sink = self.numbering, self.sink
        if not self.passes or sink.peer is None:
            numbering.join = True
            return None
        payload_type = self.types[second & 0x7F]
        if numbering.fresh:
            if numbering.join and second & 0x7F == self.audio:
                second |= 0x80
            index, stamp = numbering.place(timestamp, now)
        else:
            index, stamp = numbering.place_late(sequence, timestamp)
        datagram = HEADER.pack(0x80, payload_type | second & 0x80, index & 0xFFFF, stamp, numbering.ssrc) + payload
        return self._send(datagram, len(payload), index, sink.peer)

    def _take(self, packet: bytes, source: Address, now: float) -> tuple[int, int, int, bytes] | None:
        """Judge and count a packet of the sender: marker and payload type, sequence number, time stamp, payload."""
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        words = self.source.words
        payload = packet[12:] if first == 0x80 else _payload(packet)
        if payload is None:
            words[MALFORMED] += 1
            return None
        numbering = self.numbering
        if not numbering.take(ssrc, sequence):
            return None
        if second & 0x7F not in self.types:
            words[MALFORMED] += 1
            return None
        words[RECEIVED] += 1
        words[RECEIVED_OCTETS] += len(payload)
        if numbering.fresh:
            leg = self.source
            if source != leg.peer or leg.unsettled:
                leg.learn(source)
            if second & 0x7F == self.audio:
                numbering.measure(timestamp, now)
        return second, sequence, timestamp, payload

    def forward(self, packet: bytes, source: Address) -> tuple[bytes, Address] | None:
        """The same for a packet that goes on as it is."""
        leg, sink = self.source, self.sink
        octets = len(packet) - HEADER.size
        leg.words[RECEIVED] += 1
        leg.words[RECEIVED_OCTETS] += octets
        if leg.unsettled:
            leg.learn(source)
        if not self.passes or sink.peer is None:
            return None
        sink.words[SENT] += 1
        sink.words[SENT_OCTETS] += octets
        return packet, sink.peer

    def forward_rtcp(self, datagram: bytes, source: Address, *, muxed: bool) -> tuple[bytes, Address] | None:
        """The same for RTCP or SRTCP, on hold too (RFC 3264 5.1). Its port teaches nothing; its host must be known."""
        leg, sink = self.source, self.sink
        if classify(datagram) is not Kind.RTCP:
            leg.words[MALFORMED] += 1
            return None
        if leg.accepts is None or source[0] != leg.accepts[0]:
            leg.words[STRANGERS] += 1
            return None
        leg.words[RTCP_RECEIVED] += 1
        target = sink.peer if muxed else sink.rtcp_peer
        if target is None:
            return None
        sink.words[RTCP_SENT] += 1
        return datagram, target

    def _send(self, datagram: bytes, octets: int, index: int, peer: Address) -> tuple[bytes, Address] | None:
        sink = self.sink
        words = sink.words
        sender = sink.sender
        if sender is not None:
            try:
                datagram = sender.protect(datagram)
            except LocalProtocolError:  # too long for the buffer, or the key's lifetime is over
                self.source.words[MALFORMED] += 1
                return None
            index = sender.index or 0
        words[SENT] += 1
        words[SENT_OCTETS] += octets
        words[INDEX_OUT] = index
        return datagram, peer


class Session:
    """Two legs and both directions between them.

    `receive` is for what arrives on a leg's RTP port, `receive_rtcp` for its RTCP port. Neither raises for
    anything that can arrive.
    """

    __slots__ = ("_directions", "_reporters", "legs")
    make_direction: ClassVar[type[Direction]] = Direction

    def __init__(self, words: tuple[Words, Words] | None = None) -> None:
        first, second = words or (private_words(), private_words())
        self.legs = (Leg(first), Leg(second))
        make = type(self).make_direction
        self._directions = (make(self.legs[0], self.legs[1]), make(self.legs[1], self.legs[0]))
        while self._directions[0].numbering.ssrc == self._directions[1].numbering.ssrc:
            self._directions[1].numbering.ssrc = secrets.randbits(32)
        self._reporters: tuple[Reporter, ...] = ()

    def update(self, specs: Specs, now: float) -> None:
        """The negotiated session, or the next one. Numbers go on, equal keys keep their contexts."""
        before: Specs = (self.legs[0].spec, self.legs[1].spec)
        for leg, spec in zip(self.legs, specs, strict=True):
            leg.update(spec, now)
        self._directions[0].update(before[1])
        self._directions[1].update(before[0])
        for reporter, old, new in zip(self._reporters, before, specs, strict=False):
            reporter.renegotiated(_rtcp_addresses(old) != _rtcp_addresses(new))

    def report_every(self, interval: float, now: float, wall: float) -> None:
        """Terminate RTCP from now on instead of dropping it: see `Reporter`. To be called before any update."""
        first, second = self._directions[0].numbering, self._directions[1].numbering
        for leg in self.legs:
            leg.reports = True
        self._reporters = (
            Reporter(self.legs[0], first, second, interval, now, wall),
            Reporter(self.legs[1], second, first, interval, now, wall),
        )

    def reports(self, now: float, *, last: bool = False) -> list[tuple[int, bytes, Address, bool]]:
        """What is to be told now: leg, datagram, where to, and whether it leaves by the port of the packets.

        `last` is for the end of the session: both legs take leave.
        """
        due = []
        for number, reporter in enumerate(self._reporters):
            report = None if self._directions[number].opaque else reporter.report(now, last=last)
            if report is not None:
                due.append((number, *report, reporter.leg.muxed))
        return due

    def receive(self, leg: int, datagram: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        """What the other leg sends for a datagram that came to this one, and to which address."""
        direction = self._directions[leg]
        if direction.opaque and classify(datagram) is Kind.RTCP:
            return direction.forward_rtcp(datagram, source, muxed=True)
        packet = self.legs[leg].open(datagram, source, now)
        if packet is None:
            if self.legs[leg].muxed and classify(datagram) is Kind.RTCP:
                self.receive_rtcp(leg, datagram, source, now)
            return None
        return direction.forward(packet, source) if direction.opaque else direction.relay(packet, source, now)

    def receive_rtcp(self, leg: int, datagram: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        """What the other leg sends from its RTCP port: nothing where packets are opened, for RTCP describes the stream
        on its own side only. There it ends, or is dropped."""
        direction = self._directions[leg]
        if direction.opaque:
            return direction.forward_rtcp(datagram, source, muxed=False)
        if self._reporters:
            self._reporters[leg].receive(datagram, source, now)
        else:
            self.legs[leg].reject(datagram)
        return None


def _rtcp_addresses(spec: StreamSpec | None) -> tuple[Address | None, Address | None] | None:
    return (spec.remote, spec.remote_rtcp) if spec is not None else None


def _types(source: StreamSpec | None, sink: StreamSpec | None) -> dict[int, int]:
    """Payload types of the source leg and what the sink leg calls them."""
    if source is None:
        return {}
    if sink is None:  # nothing passes, but the source's packets are known as such
        return {kind: kind for kind in (source.payload_type, source.dtmf_payload_type) if kind is not None}
    types = {source.payload_type: sink.payload_type}
    if source.dtmf_payload_type is not None and sink.dtmf_payload_type is not None:
        types[source.dtmf_payload_type] = sink.dtmf_payload_type
    if source.codec.clock == sink.codec.clock == 8000:  # the clock of comfort noise
        types.setdefault(COMFORT_NOISE, COMFORT_NOISE)
    return types


def _payload(packet: bytes) -> bytes | None:
    """The payload of a packet with CSRC list, extension or padding."""
    try:
        start, end = payload_span(packet)
    except RemoteProtocolError:
        return None
    return packet[start:end]
