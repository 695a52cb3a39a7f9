"""Wave files: 16-bit mono at 8000 Hz, what the lab plays and records."""

from __future__ import annotations

import sys
import wave
from array import array
from pathlib import Path

from cubelab.audio.tones import RATE


def write_wav(path: Path, samples: array[int]) -> None:
    """Write 16-bit mono samples at 8000 Hz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(_little_endian(samples).tobytes())


def read_wav(path: Path) -> array[int]:
    """Samples of a 16-bit file at 8000 Hz; of several channels the first. ValueError for any other kind."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2 or file.getframerate() != RATE:
            raise ValueError(
                f"{path}: {RATE} Hz and 16 bits are needed, not {file.getframerate()} Hz and "
                f"{8 * file.getsampwidth()} bits"
            )
        samples = array("h")
        samples.frombytes(file.readframes(file.getnframes()))
        return _little_endian(samples)[:: file.getnchannels()]


def _little_endian(samples: array[int]) -> array[int]:
    """Wave data is little-endian (the same swap serves both ways)."""
    if sys.byteorder == "little":
        return samples
    swapped = array("h", samples)
    swapped.byteswap()
    return swapped
