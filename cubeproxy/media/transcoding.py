"""The packet path of a session whose legs speak differently: as `relay`, with coders where packets differ.

A packet in may be none or several out: `receive` gives the first, `more` of its leg has the others. `timeout` does what
no packet asks for, when `deadline` says so. While both legs speak alike, packets are relayed as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from cubeproxy.media.coding import differs
from cubeproxy.media.coding.coder import Coder
from cubeproxy.media.coding.order import Packet
from cubeproxy.media.coding.speaker import Out
from cubeproxy.media.leg import Leg
from cubeproxy.media.relay import Direction, Session
from cubeproxy.protocols.rtp import HEADER
from cubeproxy.protocols.values import Address, StreamSpec


class CodingDirection(Direction):
    """A direction with a coder, as long as it needs one. `more` is for the owner to send and to empty."""

    __slots__ = ("_sender", "coder", "more")

    def __init__(self, source: Leg, sink: Leg) -> None:
        super().__init__(source, sink)
        self.coder: Coder | None = None
        self.more: list[tuple[bytes, Address]] = []
        self._sender: tuple[int | None, int] = (None, 0)

    def update(self, old_sink: StreamSpec | None) -> None:
        """CodecMissing, and nothing passes, when a codec cannot be had."""
        super().update(old_sink)
        source, sink = self.source.spec, self.sink.spec
        if source is None or sink is None:
            return
        coder = self.coder
        if not differs(source, sink):
            self._use(None)
        elif coder is None or _form(coder.source) != _form(source) or _form(coder.sink) != _form(sink):
            self._use(None)
            passes, self.passes = self.passes, False
            self._use(Coder(source, sink, self.numbering.timestamp, self.source.words))
            self.passes = passes
        if self.coder is not None:
            self.types = dict.fromkeys(self.coder.payload_types, sink.payload_type)

    def _use(self, coder: Coder | None) -> None:
        """The next one begins where the last one's time line ends; with none, relaying joins the stream."""
        if self.coder is not None:
            self.coder.close()
            self.numbering.join = True
        self.coder = coder

    def relay(self, packet: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        coder, numbering = self.coder, self.numbering
        if coder is None:
            return super().relay(packet, source, now)
        numbering.join = False  # what was overtaken is of use too
        taken = self._take(packet, source, now)
        if taken is None:
            return None
        second, sequence, timestamp, payload = taken
        sender = (numbering.source, numbering.first)
        if sender != self._sender or not self.passes or self.sink.peer is None:
            self._sender = sender
            coder.restart()
        if not self.passes or self.sink.peer is None:
            return None
        index = numbering.highest - ((numbering.highest - sequence) & 0xFFFF)
        self._send_all(coder.receive(Packet(index, second & 0x7F, timestamp, payload), now), now)
        return self.more.pop(0) if self.more else None

    def timeout(self, now: float) -> None:
        """What is due goes to `more`."""
        if self.coder is not None:
            self._send_all(self.coder.timeout(now), now)

    def _send_all(self, packets: Iterable[Out], now: float) -> None:
        numbering, peer = self.numbering, self.sink.peer
        for out in packets:
            if peer is None or not self.passes:
                continue
            numbering.last += 1
            numbering.timestamp, numbering.sent_at = out.timestamp, now
            second = out.payload_type | out.marker << 7
            head = HEADER.pack(0x80, second, numbering.last & 0xFFFF, out.timestamp, numbering.ssrc)
            sent = self._send(head + out.payload, len(out.payload), numbering.last, peer)
            if sent is not None:
                self.more.append(sent)


class CodingSession(Session):
    """A session that codes where it must."""

    __slots__ = ()
    make_direction = CodingDirection

    @property
    def more(self) -> tuple[list[tuple[bytes, Address]], list[tuple[bytes, Address]]]:
        """Of what came to leg 0 and to leg 1: further packets, to leave by the other leg."""
        first, second = self._coding
        return first.more, second.more

    @property
    def deadline(self) -> float | None:
        due = (each.coder.deadline for each in self._coding if each.coder is not None)
        return min((at for at in due if at is not None), default=None)

    def timeout(self, now: float) -> None:
        for direction in self._coding:
            direction.timeout(now)

    def close(self) -> None:
        """Coders may hold what is not Python's."""
        for direction in self._coding:
            direction._use(None)

    @property
    def _coding(self) -> tuple[CodingDirection, CodingDirection]:
        first, second = self._directions
        assert isinstance(first, CodingDirection)
        assert isinstance(second, CodingDirection)
        return first, second


def _form(spec: StreamSpec) -> tuple[object, ...]:
    """What a coder depends on."""
    return spec.codec, spec.payload_type, spec.dtmf_payload_type, spec.ptime
