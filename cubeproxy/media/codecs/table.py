"""Which codecs there are: by what, at which clock, and why one cannot be had.

A codec that can be decoded only (iLBC) is none for a call, whose legs speak both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from cubeproxy.media.codecs import ffmpeg, g711, g729, spandsp
from cubeproxy.media.codecs.base import CodecMissing, Decoder, Encoder
from cubeproxy.protocols.values import Codec

MakeDecoder = Callable[[], Decoder]
MakeEncoder = Callable[[int], Encoder]  # ptime in ms


@dataclass(slots=True, frozen=True)
class Row:
    """`clock` is that of its timestamps, `by` who does the work, `missing` says why it cannot be used ("" when it can).

    `frame` in ms: a packet holds whole numbers of it.
    """

    name: str
    clock: int
    frame: int
    by: str
    decoder: MakeDecoder | None
    encoder: MakeEncoder | None
    missing: Callable[[], str]


def _nothing() -> str:
    return ""


def _no_ilbc_encoder() -> str:
    return "of iLBC there is a packaged decoder (FFmpeg) and no packaged encoder"


def _no_g722() -> str:
    """G.722 is the only one at 16 kHz with no coder in PyAV: both are needed, for no other leg has its rate."""
    return spandsp.missing() or ffmpeg.missing()


CODECS: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row("pcmu", 8000, 1, "own tables", g711.ulaw_decoder, g711.ulaw_encoder, _nothing),
        Row("pcma", 8000, 1, "own tables", g711.alaw_decoder, g711.alaw_encoder, _nothing),
        Row("g722", 8000, 1, "spandsp", spandsp.G722Decoder, spandsp.G722Encoder, _no_g722),
        Row("opus", 48_000, 10, "PyAV (libopus)", ffmpeg.opus_decoder, ffmpeg.opus_encoder, ffmpeg.missing),
        Row("g729", 8000, 10, "helper program (bcg729)", g729.G729Decoder, g729.G729Encoder, g729.missing),
        Row("ilbc", 8000, 10, "nobody", None, None, _no_ilbc_encoder),
        *(
            Row(
                f"g726-{rate // 1000}",
                8000,
                1,
                "spandsp",
                partial(spandsp.G726Decoder, rate),
                partial(spandsp.G726Encoder, rate),
                spandsp.missing,
            )
            for rate in spandsp.CODEWORD
        ),
    )
}


def why_not(codec: Codec) -> str:
    """Why a leg of this codec cannot be transcoded, "" when it can."""
    row = CODECS.get(codec.name)
    if row is None or row.clock != codec.clock:
        return f"there is no coder for {codec.name}/{codec.clock}"
    return row.missing()


def usable() -> dict[str, str]:
    """Every codec of the table by its RTP name, and why it cannot be used; "" when it can."""
    return {name: row.missing() for name, row in CODECS.items()}


def load() -> None:
    """Load everything that there is and start what runs beside us, so that no packet waits for it later."""
    for missing, load_it in (
        (ffmpeg.missing, ffmpeg.library),
        (spandsp.missing, spandsp.library),
        (g729.missing, g729.helper),
    ):
        if not missing():
            load_it()


def decoder(codec: Codec) -> Decoder:
    """CodecMissing when there is none."""
    row = _row(codec)
    if row.decoder is None:
        raise CodecMissing(row.missing())
    return row.decoder()


def encoder(codec: Codec, ptime: int) -> Encoder:
    """For packets of `ptime` ms, or of the nearest that the codec has: `ptime` of what comes back says which."""
    row = _row(codec)
    if row.encoder is None:
        raise CodecMissing(row.missing())
    return row.encoder(max(ptime - ptime % row.frame, row.frame))


def _row(codec: Codec) -> Row:
    if why := why_not(codec):
        raise CodecMissing(why)
    return CODECS[codec.name]
