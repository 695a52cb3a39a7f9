"""Opus and the change of sampling rates, by FFmpeg through PyAV (extra `codecs`).

PyAV is imported when the first of them is made. Its frames are filled and read as octets, so numpy is not needed.
G.722 and G.726 are not taken from here: FFmpeg's encoders want 20 ms, or 4096 samples, at a time.
"""

from __future__ import annotations

import importlib.util
from array import array
from fractions import Fraction
from functools import cache
from typing import Any

from cubeproxy.media.codecs.base import CodecMissing, Pcm
from cubeproxy.media.codecs.concealment import Concealment

MISSING = "PyAV is not installed: pip install 'cubeproxy[codecs]'"
OPUS_FRAMES = (60, 40, 20, 10)  # ms that one Opus packet may hold, of what RTP has (RFC 7587 4.2)
OPUS_BIT_RATE = 24_000  # full-quality wideband speech (RFC 7587 3.1.1: 16 to 20 kbit/s and some room)


@cache
def library() -> Any:
    """PyAV. CodecMissing with what is to be done."""
    try:
        import av  # noqa: PLC0415 - 75 MB of libraries that only some calls need
    except ImportError:
        raise CodecMissing(MISSING) from None
    av.logging.set_level(av.logging.PANIC)  # a broken payload is counted, not printed
    return av


def missing() -> str:
    """Why these codecs cannot be used, "" when they can. Asked without loading what only a media worker needs."""
    try:
        return "" if importlib.util.find_spec("av") else MISSING
    except ValueError:  # PyAV was taken out of the running program
        return MISSING


def _frame(pcm: Pcm, rate: int) -> Any:
    """The samples as an FFmpeg frame; its plane may be longer than they are."""
    frame = library().AudioFrame(format="s16", layout="mono", samples=len(pcm))
    frame.sample_rate = rate
    plane = frame.planes[0]
    octets = pcm.tobytes()
    plane.update(octets if plane.buffer_size == len(octets) else octets.ljust(plane.buffer_size, b"\0"))
    return frame


def _samples(frames: Any) -> Pcm:
    pcm = array("h")
    for frame in frames:
        pcm.frombytes(memoryview(frame.planes[0])[: 2 * frame.samples])
    return pcm


class FfmpegDecoder:
    """`name` as FFmpeg has it, `rate` what it gives out."""

    def __init__(self, name: str, rate: int) -> None:
        av = library()
        self.rate = rate
        context = av.CodecContext.create(name, "r")
        context.sample_rate, context.layout = rate, "mono"
        self._context = context
        self._packet = av.Packet
        self._errors = (av.error.FFmpegError,)
        self._concealment = Concealment(rate)

    def decode(self, payload: bytes) -> Pcm:
        try:
            pcm = _samples(self._context.decode(self._packet(payload)))
        except self._errors as error:
            raise ValueError(type(error).__name__) from None
        self._concealment.heard(pcm)
        return pcm

    def conceal(self, samples: int) -> Pcm:
        return self._concealment.fill(samples)

    def close(self) -> None:
        self._context = None


class FfmpegEncoder:
    """One packet of samples is one packet of FFmpeg's."""

    def __init__(self, name: str, rate: int, ptime: int, *, bit_rate: int = 0, **options: str) -> None:
        context = library().CodecContext.create(name, "w")
        context.sample_rate, context.layout, context.format = rate, "mono", "s16"
        context.time_base = Fraction(1, rate)
        context.options = options
        if bit_rate:
            context.bit_rate = bit_rate
        context.open()
        self.rate = rate
        self.ptime = ptime
        self._context = context

    def encode(self, pcm: Pcm) -> bytes:
        return b"".join(map(bytes, self._context.encode(_frame(pcm, self.rate))))

    def close(self) -> None:
        self._context = None


class Resampler:
    """From one rate to another. Filter state is kept across packets: the first gives a little less than its share."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._resampler: Any = library().AudioResampler(format="s16", layout="mono", rate=target)

    def resample(self, pcm: Pcm) -> Pcm:
        return _samples(self._resampler.resample(_frame(pcm, self._source))) if pcm else pcm


def opus_decoder() -> FfmpegDecoder:
    """Opus comes out at 48 kHz whatever was put in."""
    return FfmpegDecoder("libopus", 48_000)


def opus_encoder(ptime: int) -> FfmpegEncoder:
    """Wideband speech: what the other leg has is 8 or 16 kHz."""
    frame = next((one for one in OPUS_FRAMES if one <= ptime), OPUS_FRAMES[-1])
    options = {"frame_duration": str(frame), "application": "voip", "compression_level": "5"}
    return FfmpegEncoder("libopus", 16_000, frame, bit_rate=OPUS_BIT_RATE, **options)
