"""Tones are told from other tones, from silence and from noise; numpy's FFT is the independent judge."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import numpy
import pytest

from cubelab.audio.codec import FORMATS, PCMA, PCMU, SAMPLES, loop_length, payloads
from cubelab.audio.tones import PALETTE, RATE, Hearing, goertzel, listen, strongest, tone
from cubelab.audio.wav import read_wav, write_wav


def noise(seconds: float, seed: int = 1) -> array[int]:
    rng = random.Random(seed)
    return PCMU.decode(rng.randbytes(round(seconds * RATE)))


@pytest.mark.parametrize("frequency", PALETTE)
@pytest.mark.parametrize("form", [PCMU, PCMA], ids=lambda form: form.name)
def test_a_tone_is_heard_through_g711_and_no_other_is(frequency, form):
    heard = form.decode(form.encode(tone(frequency, 1)))
    assert {other for other in PALETTE if listen(heard, other).heard} == {frequency}
    assert strongest(heard).frequency == frequency


def test_goertzel_agrees_with_the_fourier_transform():
    samples = tone(770, 0.1)
    spectrum = abs(numpy.fft.rfft(numpy.array(samples, dtype=float))) ** 2
    for position in (10, 44, 77, 148):  # bins of 10 Hz
        assert goertzel(samples, position * 10) == pytest.approx(
            spectrum[position], rel=1e-6, abs=1e-6 * spectrum.max()
        )


@pytest.mark.parametrize(
    "samples", [array("h", bytes(2 * RATE)), noise(1), array("h")], ids=["silence", "noise", "nothing"]
)
def test_no_tone_is_heard_where_there_is_none(samples):
    assert not any(listen(samples, frequency).heard for frequency in PALETTE)


def test_a_tone_that_stops_half_way_is_not_heard():
    half = tone(440, 1) + array("h", bytes(2 * RATE))
    hearing = listen(half, 440)
    assert (hearing.frames, hearing.hits) == (20, 10)
    assert not hearing.heard


def test_a_tone_under_louder_noise_is_not_heard():
    mixed = array("h", (a // 16 + b // 2 for a, b in zip(tone(440, 1), noise(1), strict=True)))
    assert not listen(mixed, 440).heard


def test_less_than_half_a_second_proves_nothing():
    assert not Hearing(440, 4, 4, 1.0).heard
    assert not listen(tone(440, 0.45), 440).heard
    assert listen(tone(440, 0.5), 440).heard


@pytest.mark.parametrize("frequency", PALETTE)
def test_a_looped_tone_has_no_seam(frequency):
    length = loop_length(frequency)
    assert round(length * RATE) % SAMPLES == 0
    repeated = tone(frequency, length) * 3
    whole = tone(frequency, 3 * length)
    assert max(abs(a - b) for a, b in zip(repeated, whole, strict=True)) <= 1


def test_payloads_are_whole_packets():
    cut = payloads(tone(440, 0.05), PCMU)
    assert [len(one) for one in cut] == [SAMPLES] * 3
    assert [len(one) for one in payloads(array("h"), PCMA)] == [SAMPLES]


def test_a_wave_file_comes_back_as_it_was(tmp_path: Path):
    samples = tone(1000, 0.3)
    write_wav(tmp_path / "a.wav", samples)
    assert read_wav(tmp_path / "a.wav") == samples


def test_a_wave_file_of_another_rate_is_refused(tmp_path: Path):
    import wave

    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(64))
    with pytest.raises(ValueError, match="8000 Hz"):
        read_wav(tmp_path / "b.wav")


def test_only_static_g711_types_are_known():
    assert set(FORMATS) == {0, 8}
