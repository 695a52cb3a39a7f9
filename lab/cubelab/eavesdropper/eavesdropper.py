"""Tries to turn a capture into sound: every stream is decoded as if it were clear G.711, and judged.

One function for both sides of the proxy. What it cannot do on the access side it must do on the core side, in the
same run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cubelab.audio.codec import FORMATS, PCMU
from cubelab.audio.tones import PALETTE, Hearing, strongest
from cubelab.audio.wav import write_wav
from cubelab.eavesdropper.streams import Stream, read_capture


@dataclass(slots=True)
class Overheard:
    """One stream, and the tone that comes closest to filling it."""

    stream: Stream
    hearing: Hearing
    wav: Path | None

    @property
    def understood(self) -> bool:
        return self.hearing.heard


@dataclass(slots=True)
class Findings:
    """What the eavesdropper got out of one capture."""

    capture: Path
    datagrams: int
    overheard: list[Overheard]

    @property
    def understood(self) -> list[Overheard]:
        return [one for one in self.overheard if one.understood]

    @property
    def tones(self) -> set[int]:
        """Hz of every tone that was recovered."""
        return {one.hearing.frequency for one in self.understood}


def eavesdrop(capture: Path, out: Path | None = None, tones: Iterable[int] = PALETTE) -> Findings:
    """Decode every RTP stream of `capture`, write `NAME-N.wav` files to `out`, say which tone each one holds."""
    read = read_capture(capture)
    hunted = tuple(tones)
    overheard = []
    for number, stream in enumerate(read.streams, 1):
        samples = as_sound(stream)
        wav = out / f"{capture.stem}-heard-{number}.wav" if out else None
        if wav:
            write_wav(wav, samples)
        overheard.append(Overheard(stream, strongest(samples, hunted), wav))
    return Findings(capture, read.datagrams, overheard)


def as_sound(stream: Stream) -> array[int]:
    """The payloads, taken for G.711 by the payload type on their header (any other number is tried as mu-law)."""
    form = FORMATS.get(stream.payload_type, PCMU)
    return form.decode(b"".join(stream.payloads))
