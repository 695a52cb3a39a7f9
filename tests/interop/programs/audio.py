"""Which tone stands in a recording, judged per 100 ms frame by FFT, apart from all code of the product.

A whole-file spectrum would hide one-way audio that starts late or breaks off; frames do not.
"""

from __future__ import annotations

import math
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FRAME = 0.1  # s
SILENCE = 0.002  # of full scale (RMS), below this a frame holds no sound
SHARE = 0.7  # of a frame's energy that a tone must have
WIDTH = 25.0  # Hz, to each side


@dataclass(slots=True)
class Verdict:
    """How many frames of a recording hold the tone, another sound, or nothing."""

    tone: int
    other: int
    silent: int

    @property
    def frames(self) -> int:
        return self.tone + self.other + self.silent

    @property
    def share(self) -> float:
        """Of the frames with any sound, the part that is the tone."""
        return self.tone / max(1, self.tone + self.other)


def judge(recording: Path, hertz: float) -> Verdict:
    """Counts the frames of one recording by what they hold."""
    rate, samples = read_wav(recording)
    size = int(rate * FRAME)
    verdict = Verdict(0, 0, 0)
    for start in range(0, len(samples) - size + 1, size):
        frame = samples[start : start + size]
        if math.sqrt(float(np.mean(frame**2))) < SILENCE:
            verdict.silent += 1
        elif tone_share(frame, rate, hertz) >= SHARE:
            verdict.tone += 1
        else:
            verdict.other += 1
    return verdict


def tone_share(frame: NDArray[np.float64], rate: int, hertz: float) -> float:
    """Part of the frame's energy within WIDTH of the tone, 0..1."""
    power = np.abs(np.fft.rfft(frame * np.hanning(len(frame)))) ** 2
    frequencies = np.fft.rfftfreq(len(frame), 1 / rate)
    total = float(power[1:].sum())
    near = float(power[np.abs(frequencies - hertz) <= WIDTH].sum())
    return near / total if total else 0.0


def read_wav(recording: Path) -> tuple[int, NDArray[np.float64]]:
    """Rate and the first channel, -1..1. Reads what is there: a program that still records has no final header."""
    data = recording.read_bytes()
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return 8000, np.zeros(0)
    rate, channels, width, position = 8000, 1, 2, 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        if kind == b"fmt ":
            _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, position + 8)
            width = bits // 8
        if kind == b"data":
            assert width == 2, f"{recording}: {width * 8} bits a sample"
            whole = (len(data) - position - 8) // (2 * channels) * 2 * channels
            samples = np.frombuffer(data, "<i2", whole // 2, position + 8)
            return rate, samples[::channels].astype(np.float64) / 32768
        position += 8 + size + size % 2
    return rate, np.zeros(0)


def write_tone(path: Path, hertz: float, seconds: float, rate: int = 8000, level: float = 0.3) -> Path:
    """A mono 16-bit WAV file with one tone."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((tone(hertz, seconds, rate, level) * 32767).astype("<i2").tobytes())
    return path


def tone(hertz: float, seconds: float, rate: int = 8000, level: float = 0.3) -> NDArray[np.float64]:
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def assert_tone(recording: Path, hertz: float, seconds: float) -> Verdict:
    """The tone, and hardly anything else, for at least so many seconds."""
    verdict = judge(recording, hertz)
    assert verdict.tone * FRAME >= seconds, f"{recording.name}: {hertz:g} Hz for less than {seconds:g} s: {verdict}"
    assert verdict.share >= 0.95, f"{recording.name}: other sounds than {hertz:g} Hz: {verdict}"
    return verdict
