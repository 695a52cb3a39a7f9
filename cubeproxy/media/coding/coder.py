"""One direction between two codecs: packets of the source's leg in, packets for the sink's leg out. Sans-IO.

The output is paced by the input: whenever enough samples are there, a packet is due. Time stamps carry the truth: what
was lost is concealed for a while (CONCEALED), what was not said is left out, and a sender that begins anew is joined
where our own time line would stand by now.
"""

from __future__ import annotations

from collections.abc import Iterable

from cubeproxy.media.codecs import ffmpeg, table
from cubeproxy.media.codecs.base import Pcm, silence
from cubeproxy.media.coding.events import EventSpeaker, Open
from cubeproxy.media.coding.noise import NOISY, Noise, descriptor
from cubeproxy.media.coding.order import Order, Packet
from cubeproxy.media.coding.speaker import Out, Speaker
from cubeproxy.media.coding.tones import Generator, Held, Listener, Part, Pressed, event_of
from cubeproxy.media.counters import MALFORMED, Words
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.rtp import COMFORT_NOISE
from cubeproxy.protocols.telephone_event import DIGITS, MAX_DURATION, Ended, EventReceiver, Started, TelephoneEvent
from cubeproxy.protocols.values import StreamSpec

CONCEALED = 0.1  # s; what comes after was silence, as far as anybody can tell
JUMP = 2.0  # s by which a time stamp may run ahead before its sender counts as a new one
LONGEST_PACKET = 0.24  # s: the longest period that SCCP can ask for
LONGEST_TONE = 0.2  # s made for one event packet
MISSED = 20  # ms of silence that tell that a tone is over
TONE_VOLUME = 10  # -dBm0 told of a digit that was heard as tones


class Coder:
    """`source` and `sink` as negotiated, `timestamp` where the time line out begins. CodecMissing when it cannot be."""

    def __init__(self, source: StreamSpec, sink: StreamSpec, timestamp: int, words: Words) -> None:
        self.source, self.sink = source, sink
        self._words = words
        self._decoder = table.decoder(source.codec)
        encoder = table.encoder(sink.codec, sink.ptime)
        self._rate, self._clock = self._decoder.rate, source.codec.clock
        self._speaker = Speaker(encoder, sink.codec.clock, sink.payload_type, timestamp)
        self._resampler = ffmpeg.Resampler(self._rate, encoder.rate) if encoder.rate != self._rate else None
        self._order = Order()
        self._expected: int | None = None  # time stamp that would go on where the last packet ended
        self._spoke_at = 0.0
        self._noise = Noise(self._rate)
        self._receiver = EventReceiver()
        self._open: Open | None = None
        self._after = -1  # time stamp of the event whose last packets are being repeated
        self._copies = 0
        self._muted: int | None = None  # time stamp where the last event ended
        self._last = 0  # duration that it was told with, in the sink's clock
        self._generator: Generator | None = None
        told, tells = source.dtmf_payload_type is not None, sink.dtmf_payload_type is not None
        self._events = EventSpeaker(sink.dtmf_payload_type) if sink.dtmf_payload_type is not None else None
        self._listener = Listener(self._rate) if tells and not told else None
        self._actions = {source.payload_type: self._audio, COMFORT_NOISE: self._comfort_noise}
        if source.dtmf_payload_type is not None:
            self._actions[source.dtmf_payload_type] = self._event

    @property
    def payload_types(self) -> Iterable[int]:
        """What the sender may send."""
        return self._actions

    @property
    def timestamp(self) -> int:
        return self._speaker.timestamp

    @property
    def deadline(self) -> float | None:
        """When `timeout` has something to do: a missing packet, or a digit whose end is missing."""
        due = [at for at in (self._order.deadline, self._open.deadline if self._open else None) if at is not None]
        return min(due, default=None)

    def receive(self, packet: Packet, now: float) -> list[Out]:
        """A packet of the sender, of one of the `payload_types`."""
        return [out for one in self._order.take(packet, now) for out in self._play(one, now)]

    def timeout(self, now: float) -> list[Out]:
        out = [each for one in self._order.timeout(now) for each in self._play(one, now)]
        if self._open is not None and now >= self._open.deadline:
            self._receiver.lost()
            out += self._end_event()
        return out

    def restart(self) -> None:
        """Another sender, or one that counts anew: it joins where our time line stands then."""
        self._order = Order()
        self._receiver = EventReceiver()
        self._open = None
        self._expected = None
        self._muted = None

    def close(self) -> None:
        self._decoder.close()
        self._speaker.encoder.close()

    def _play(self, packet: Packet, now: float) -> list[Out]:
        try:
            out = self._actions[packet.payload_type](packet, now)
        except (ValueError, RemoteProtocolError):
            self._words[MALFORMED] += 1
            return []
        self._spoke_at = now
        return out

    # audio

    def _audio(self, packet: Packet, now: float) -> list[Out]:
        if self._open is not None or self._is_muted(packet.timestamp):
            return []  # a digit is told instead (RFC 4733 2.5.2.2: never both)
        out = self._catch_up(packet, now, conceal=True)  # first what is missing before it: decoders remember
        pcm = self._decode(packet.payload)
        self._expected = packet.timestamp + self._ticks(len(pcm))
        if not (pcm and descriptor(self.source.codec, packet.payload)):
            return out + self._say(pcm)
        return out + self._say(pcm[:-NOISY]) + self._say_noise(Noise.level(pcm[-NOISY:]))

    def _decode(self, payload: bytes) -> Pcm:
        """Nothing, and counted, for a payload that is none or longer than any packet period."""
        try:
            pcm = self._decoder.decode(payload)
        except ValueError:
            pcm = silence(0)
        if not 0 < len(pcm) <= self._rate * LONGEST_PACKET:
            self._words[MALFORMED] += 1
            return silence(0)
        return pcm

    def _is_muted(self, timestamp: int) -> bool:
        """Whether a digit was told for this moment."""
        return self._muted is not None and 0 < (self._muted - timestamp) & 0xFFFFFFFF <= MAX_DURATION

    def _comfort_noise(self, packet: Packet, now: float) -> list[Out]:
        if not packet.payload:
            raise ValueError("comfort noise without a level")
        out = self._catch_up(packet, now)
        self._expected = packet.timestamp
        return out + self._say_noise(packet.payload[0] & 0x7F)

    def _say_noise(self, level: int) -> list[Out]:
        """In the sink's words where it has some (RFC 3389), else a packet of it, and silence until more comes."""
        if self.sink.codec.name in ("pcmu", "pcma"):
            return [*self._speaker.flush(), Out(COMFORT_NOISE, self._speaker.timestamp, bytes((level,)))]
        samples = self._rate * self.sink.ptime // 1000
        if self._expected is not None:
            self._expected += self._ticks(samples)
        return self._say(self._noise.make(level, samples))

    def _catch_up(self, packet: Packet, now: float, *, conceal: bool = False) -> list[Out]:
        """Bring our time line to where this packet begins."""
        if self._expected is None:
            passed = int((now - self._spoke_at) * self.sink.codec.clock) if self._spoke_at else 0
            return self._break() + self._speaker.skip(passed)
        ahead = (packet.timestamp - self._expected) & 0xFFFFFFFF
        if ahead >= 0x80000000:  # it overlaps: said already, or a clock that was set back
            return []
        if ahead > JUMP * self._clock:
            passed = int((now - self._spoke_at) * self.sink.codec.clock)
            return self._break() + self._speaker.skip(passed)
        out: list[Out] = []
        if packet.lost and conceal and ahead:
            samples = min(ahead * self._rate // self._clock, int(CONCEALED * self._rate))
            out = self._say(self._decoder.conceal(samples))
            ahead -= self._ticks(samples)
        if ahead > 0:
            out += self._break() + self._speaker.skip(ahead * self.sink.codec.clock // self._clock)
        return out

    def _say(self, pcm: Pcm) -> list[Out]:
        if self._listener is None:
            return self._send(pcm)
        return [out for part in self._listener.hear(pcm) for out in self._part(part)]

    def _send(self, pcm: Pcm) -> list[Out]:
        return self._speaker.add(pcm if self._resampler is None else self._resampler.resample(pcm))

    def _break(self) -> list[Out]:
        """What is held back goes out before a gap."""
        return [out for part in self._listener.flush() for out in self._part(part)] if self._listener else []

    def _ticks(self, samples: int) -> int:
        return samples * self._clock // self._rate

    # digits heard as tones

    def _part(self, part: Part) -> list[Out]:
        assert self._events is not None
        match part:
            case Pressed():
                out = self._speaker.flush()
                self._events.begin(self._speaker.timestamp)
                return out
            case Held(digit, ms, up):
                duration = ms * self.sink.codec.clock // 1000
                if not up:
                    whole = ms % self.sink.ptime == 0 or ms <= 30
                    return self._events.update(event_of(digit), TONE_VOLUME, duration) if whole else []
                out = self._events.end(event_of(digit), TONE_VOLUME, duration)
                return out + self._speaker.skip((ms + MISSED) * self.sink.codec.clock // 1000)
        return self._send(part)

    # digits told as events

    def _event(self, packet: Packet, now: float) -> list[Out]:
        told = TelephoneEvent.parse(packet.payload)
        before = self._copies if packet.timestamp == self._after else 0
        outputs = self._receiver.receive(packet.timestamp, packet.payload)
        out: list[Out] = []
        for output in outputs:
            if isinstance(output, Started):
                out += self._begin_event(packet, told, now)
            elif isinstance(output, Ended) and self._open is not None and output.event.event != told.event:
                out += self._end_event()  # the key before, whose end was lost
        if self._open is not None:
            duration = self._open.heard(packet.timestamp, told.duration, now, self.source.ptime)
            self._expected = self._muted = packet.timestamp + told.duration
            if any(isinstance(output, Ended) for output in outputs) and told.end:
                return out + self._end_event(copies=1)
            return out + self._tell(duration)
        if told.end and packet.timestamp == self._after and 0 < before < 3 and self._events is not None:
            self._copies = before + 1
            return out + self._events.end(told.event, told.volume, self._last, copies=1)
        return out

    def _begin_event(self, packet: Packet, told: TelephoneEvent, now: float) -> list[Out]:
        out = self._end_event() if self._open is not None else []
        out += self._catch_up(packet, now)
        self._open = Open(told.event, told.volume, packet.timestamp)
        self._generator = None
        if self._events is not None:
            out += self._speaker.flush()
            self._events.begin(self._speaker.timestamp)
        elif told.event < len(DIGITS):
            self._generator = Generator(told.digit, told.volume, self._rate)
        return out

    def _tell(self, duration: int) -> list[Out]:
        """The event goes on; `duration` in the source's clock."""
        assert self._open is not None
        if self._events is not None:
            self._last = duration * self.sink.codec.clock // self._clock
            return self._events.update(self._open.event, self._open.volume, self._last)
        if self._generator is None:
            return []
        samples = duration * self._rate // self._clock - self._generator.made
        return self._send(self._generator.make(max(0, min(samples, int(LONGEST_TONE * self._rate)))))

    def _end_event(self, copies: int = 3) -> list[Out]:
        """The key is up; what was heard of it last is its duration."""
        event, self._open = self._open, None
        assert event is not None
        self._after, self._copies = event.timestamp, copies
        if self._events is None:
            self._open = event
            out = self._tell(event.duration)
            self._open = None
            return out
        self._last = event.duration * self.sink.codec.clock // self._clock
        return [*self._events.end(event.event, event.volume, self._last, copies), *self._speaker.skip(self._last)]
