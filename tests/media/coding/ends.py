"""The two ends of a transcoded session, and decoders for what arrives that are not the product's."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import av
import numpy as np

from cubeproxy.media.codecs import table
from cubeproxy.media.transcoding import CodingSession
from cubeproxy.protocols.values import Codec, StreamSpec

from ..phones import Heard, Phone
from .signals import Samples, pcm

PAYLOAD_TYPES = {"pcmu": 0, "pcma": 8, "g722": 9, "g729": 18, "opus": 111}
NAMES = ("pcmu", "pcma", "g722", "opus", "g729", "g726-16", "g726-24", "g726-32")
BITS = {"g726-16": 2, "g726-24": 3, "g726-32": 4}


def codec(name: str) -> Codec:
    return Codec(name, 48_000, 2) if name == "opus" else Codec(name, 8000)


def audio_rate(name: str) -> int:
    """Of what an end puts in."""
    return 16_000 if name in ("g722", "opus") else 8000


class End(Phone):
    """A phone with one codec: `speak` and `listen` in samples."""

    def __init__(self, port: int, name: str, ptime: int = 20, dtmf: int | None = None) -> None:
        super().__init__(("127.0.0.1", port))
        self.name, self.ptime, self.dtmf = name, ptime, dtmf
        self.codec = codec(name)
        self.number = PAYLOAD_TYPES.get(name, 100)
        self.rate = audio_rate(name)
        self._encoder = table.encoder(self.codec, ptime)

    @property
    def leg(self) -> StreamSpec:
        return self.spec(codec=self.codec, payload_type=self.number, ptime=self.ptime, dtmf_payload_type=self.dtmf)

    def packets(self, samples: Samples) -> list[bytes]:
        """Datagrams of whole packets, each to be sent a packet time after the one before."""
        size = self.rate * self.ptime // 1000
        return [
            self.packet(self._encoder.encode(pcm(samples[at : at + size])))
            for at in range(0, len(samples) - size + 1, size)
        ]

    def packet(self, payload: bytes, *, number: int | None = None, ticks: int | None = None) -> bytes:
        """The next packet; it lasts `ticks` of the codec's clock."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        step = self.codec.clock * self.ptime // 1000 if ticks is None else ticks
        kind = self.number if number is None else number
        head = struct.pack("!BBHII", 0x80, kind, self.sequence, self.timestamp, self.ssrc)
        self.timestamp = (self.timestamp + step) & 0xFFFFFFFF
        return head + payload

    def listen(self, heard: list[Heard]) -> tuple[Samples, int]:
        """The audio in packets, and its rate; by an independent decoder."""
        decode, rate = judge(self.name)
        return np.concatenate([decode(one.payload) for one in heard if one.payload_type == self.number]), rate


class Call:
    """A session between two ends with a clock."""

    def __init__(self, first: End, second: End) -> None:
        self.ends = (first, second)
        self.session = CodingSession()
        self.now = 100.0
        self.session.update((first.leg, second.leg), self.now)

    def say(self, leg: int, datagram: bytes, seconds: float = 0.02) -> list[Heard]:
        """What the other end hears because of this datagram."""
        self.now += seconds
        out = self.session.receive(leg, datagram, self.ends[leg].address, self.now)
        return self._heard(leg, [] if out is None else [out])

    def wait(self, leg: int, seconds: float) -> list[Heard]:
        self.now += seconds
        self.session.timeout(self.now)
        return self._heard(leg, [])

    def _heard(self, leg: int, out: list[Any]) -> list[Heard]:
        more = self.session.more[leg]
        out += more
        more.clear()
        other = self.ends[1 - leg]
        assert all(address == other.address for _, address in out)
        return [other.hear(datagram) for datagram, _ in out]

    def carry(self, leg: int, samples: Samples) -> list[Heard]:
        """Everything that the other end hears of these samples."""
        end = self.ends[leg]
        return [one for datagram in end.packets(samples) for one in self.say(leg, datagram, end.ptime / 1000)]


Decode = Callable[[bytes], Samples]


def judge(name: str) -> tuple[Decode, int]:
    """A decoder that the product does not use for this codec, and the rate of what it gives."""
    if name in ("pcmu", "pcma"):
        return (_ulaw if name == "pcmu" else _alaw), 8000
    if name == "g722":
        return _ffmpeg("g722", 16_000), 16_000
    if name == "opus":
        return _ffmpeg("opus", 48_000), 48_000
    if name == "g729":
        return _ffmpeg("g729", 8000), 8000
    return _ffmpeg("g726le", 8000, bits_per_coded_sample=str(BITS[name])), 8000


def _ffmpeg(name: str, rate: int, **options: str) -> Decode:
    """FFmpeg's own decoder: it shares nothing with libopus, bcg729 and spandsp, which do the product's work."""
    context: Any = av.CodecContext.create(name, "r")
    context.sample_rate, context.layout, context.options = rate, "mono", options

    def decode(payload: bytes) -> Samples:
        pieces = [payload[at : at + 10] for at in range(0, len(payload), 10)] if name == "g729" else [payload]
        out = []
        for piece in pieces:
            for frame in context.decode(av.Packet(piece)):
                raw = bytes(frame.planes[0])
                if frame.format.name.startswith("flt"):
                    out.append(np.frombuffer(raw, np.float32)[: frame.samples].astype(np.float64) * 32768)
                else:
                    out.append(np.frombuffer(raw, np.int16)[: frame.samples].astype(np.float64))
        return np.concatenate(out) if out else np.zeros(0)

    return decode


def _ulaw(payload: bytes) -> Samples:
    """By the formula of G.711, not by tables."""
    code = ~np.frombuffer(payload, np.uint8)
    magnitude = (((code & 0x0F).astype(np.int64) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.float64)


def _alaw(payload: bytes) -> Samples:
    code = np.frombuffer(payload, np.uint8) ^ 0x55
    segment = ((code & 0x70) >> 4).astype(np.int64)
    step = ((code & 0x0F).astype(np.int64) << 4) + 8
    magnitude = np.where(segment == 0, step, step + 0x100 << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.float64)
