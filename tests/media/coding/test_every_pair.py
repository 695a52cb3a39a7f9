"""Every codec to every other, judged by content: a tone and speech go in, and the same comes out of a decoder that the
product does not use. Each pair is one session, and each direction of it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from .ends import NAMES, Call, End
from .signals import likeness, peak_of, speech, tone

# codec -> how far noise is below a tone (dB), correlation of speech as a waveform, and of its short-term spectrum.
# What a pair can reach is what the poorer of both can. Waveforms of different rates are half a sample apart at worst.
QUALITY = {
    "pcmu": (33, 0.99, 0.97),
    "pcma": (33, 0.99, 0.97),
    "g722": (33, 0.88, 0.95),
    "opus": (30, 0.92, 0.93),
    "g729": (19, 0.80, 0.90),
    "g726-16": (16, 0.83, 0.68),
    "g726-24": (19, 0.86, 0.77),
    "g726-32": (24, 0.88, 0.85),
}
PAIRS = [(first, second) for place, first in enumerate(NAMES) for second in NAMES[place + 1 :]]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_a_tone_keeps_frequency_and_level_both_ways(first: str, second: str) -> None:
    call = Call(End(4000, first), End(5000, second))
    for leg in (0, 1):
        source, sink = call.ends[leg], call.ends[1 - leg]
        samples, rate = sink.listen(call.carry(leg, tone(source.rate, 1.5)))
        frequency, level, clear = peak_of(samples[rate // 2 : rate], rate)
        assert frequency == pytest.approx(1004, abs=2)
        assert level == pytest.approx(20 * np.log10(6000 / 32768 / np.sqrt(2)), abs=1.5)
        assert clear > min(QUALITY[first][0], QUALITY[second][0])


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_speech_is_the_same_speech_both_ways(first: str, second: str) -> None:
    call = Call(End(4000, first), End(5000, second))
    for leg in (0, 1):
        source, sink = call.ends[leg], call.ends[1 - leg]
        heard = call.carry(leg, speech(source.rate, 3))
        samples, rate = sink.listen(heard)
        wave, spectrum = likeness(speech(rate, 3), samples, rate)
        assert wave > min(QUALITY[first][1], QUALITY[second][1])
        assert spectrum > min(QUALITY[first][2], QUALITY[second][2])


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_numbers_and_time_stamps_are_our_own_and_go_on(first: str, second: str) -> None:
    call = Call(End(4000, first), End(5000, second))
    for leg in (0, 1):
        source, sink = call.ends[leg], call.ends[1 - leg]
        heard = call.carry(leg, tone(source.rate, 0.5))
        assert 22 <= len(heard) <= 25
        step = sink.codec.clock // 50
        assert [one.payload_type for one in heard] == [sink.number] * len(heard)
        assert [one.marker for one in heard] == [True] + [False] * (len(heard) - 1)
        assert {one.ssrc for one in heard} == {heard[0].ssrc} != {source.ssrc}
        for place, one in enumerate(heard):
            assert one.sequence == (heard[0].sequence + place) & 0xFFFF
            assert one.timestamp == (heard[0].timestamp + place * step) & 0xFFFFFFFF
