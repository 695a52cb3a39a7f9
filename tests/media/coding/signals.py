"""Signals that go in, and how what came out is judged. Samples are floats of the 16-bit scale in numpy arrays."""

from __future__ import annotations

from array import array
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def tone(rate: int, seconds: float, frequency: float = 1004.0, peak: float = 6000.0) -> Samples:
    """Not a divisor of any packet's samples, so that a repeated or lost packet shows."""
    return peak * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def keys(digit: str, rate: int, seconds: float, peak: float = 6000) -> Samples:
    """The two tones of a key (ITU-T Q.23)."""
    row, column = divmod("123A456B789C*0#D".index(digit), 4)
    low, high = (697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column]
    return tone(rate, seconds, low, peak) + tone(rate, seconds, high, peak)


def speech(rate: int, seconds: float, peak: float = 9000.0) -> Samples:
    """Vowels with syllables: a pulse train with moving pitch through three moving resonances, below 3.4 kHz."""
    count = int(rate * seconds)
    time = np.arange(count) / rate
    pitch = 110 + 25 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 2.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    out = np.zeros(count)
    for harmonic in range(1, 26):
        frequency = harmonic * pitch
        gain = sum(
            weight / (1 + ((frequency - centre - swing * np.sin(2 * np.pi * speed * time)) / width) ** 2)
            for centre, swing, speed, width, weight in (
                (550, 200, 1.3, 90, 1.0), (1400, 400, 0.9, 140, 0.5), (2500, 200, 1.7, 200, 0.25),
            )
        )  # fmt: skip
        out += np.where(frequency < 3200, gain, 0) * np.sin(harmonic * phase)
    out *= 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time)
    scaled: Samples = out * (peak / np.abs(out).max())
    return scaled


def pcm(samples: Samples) -> array[int]:
    return array("h", np.clip(np.rint(samples), -32768, 32767).astype(np.int16).tobytes())


def floats(samples: array[int]) -> Samples:
    return np.frombuffer(samples.tobytes(), dtype=np.int16).astype(np.float64)


def peak_of(samples: Samples, rate: int) -> tuple[float, float, float]:
    """Frequency (Hz) and level (dB of full scale) of the strongest tone, and how far all else is below it (dB)."""
    window = np.hanning(len(samples))
    power = np.abs(np.fft.rfft(samples * window)) ** 2
    place = int(power.argmax())
    near = slice(max(place - 4, 0), place + 5)
    inside = power[near].sum()
    frequency = float((np.arange(len(power))[near] * power[near]).sum() / inside) * rate / len(samples)
    mean = 2 * inside / (window**2).sum() / len(samples)
    rest = power.sum() - inside
    return frequency, 10 * np.log10(mean / 32768**2), 10 * np.log10(inside / max(rest, 1e-9))


def delay_between(said: Samples, heard: Samples, most: int) -> int:
    """By how many samples what was heard is late."""
    size = 1 << (len(said) + most).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    return int(product[:most].argmax())


def likeness(said: Samples, heard: Samples, rate: int) -> tuple[float, float]:
    """Correlation of the waveforms once aligned, and of their short-term spectra, which is what an ear judges."""
    late = delay_between(said, heard, rate // 5)
    count = min(len(said), len(heard) - late) - rate // 10
    first, second = said[rate // 10 : count], heard[late + rate // 10 : late + count]
    wave = float(np.corrcoef(first, second)[0, 1])
    return wave, float(np.corrcoef(_bands(first, rate).ravel(), _bands(second, rate).ravel())[0, 1])


def _bands(samples: Samples, rate: int) -> Samples:
    """Levels in dB of 20 ms pieces in 16 bands up to 3.4 kHz."""
    size = rate // 50
    pieces = samples[: len(samples) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    edges = np.linspace(200, 3400, 17) * size / rate
    bands = [power[:, int(low) : int(high) + 1].sum(axis=1) for low, high in pairwise(edges)]
    levels: Samples = 10 * np.log10(np.maximum(np.array(bands), 1e4))
    return levels
