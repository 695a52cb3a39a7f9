"""Digits through a transcoder: events keep their meaning in another clock, tones become events and events tones, and a
listener never gets both (RFC 4733 2.5)."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from cubeproxy.media.coding.tones import KEYS, LOW, Listener, Pressed
from cubeproxy.protocols.telephone_event import packets

from ..phones import Heard
from .ends import Call, End
from .signals import Samples, keys, pcm, peak_of, speech


def press(end: End, digit: str, **details: int) -> list[bytes]:
    """One key as events, in datagrams: one time stamp, the marker on the first."""
    assert end.dtmf is not None
    payloads = packets(digit, clock=end.codec.clock, **details)
    out = []
    for number, payload in enumerate(payloads):
        datagram = bytearray(end.packet(payload, number=end.dtmf, ticks=0))
        datagram[1] |= 0x80 if not number else 0
        out.append(bytes(datagram))
    end.timestamp += end.codec.clock * details.get("duration", 100) // 1000
    return out


def events(heard: list[Heard], number: int) -> list[tuple[int, bool, int, Heard]]:
    """Event, end, duration, packet."""
    out = []
    for one in heard:
        if one.payload_type == number:
            event, flags, duration = struct.unpack("!BBH", one.payload)
            out.append((event, flags > 127, duration, one))
    return out


def test_an_event_is_counted_in_the_clock_of_the_other_leg() -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "opus", dtmf=97))
    call.carry(0, speech(8000, 0.4))
    heard = [one for datagram in press(call.ends[0], "5", duration=100) for one in call.say(0, datagram)]
    told = events(heard, 97)
    assert [(event, end) for event, end, *_ in told] == [(5, False)] * 4 + [(5, True)] * 3
    assert [duration for _, _, duration, _ in told] == [960, 1920, 2880, 3840, 4800, 4800, 4800]
    assert len({one.timestamp for *_, one in told}) == 1
    assert [one.marker for *_, one in told] == [True] + [False] * 6


def test_sequence_and_ssrc_are_those_of_the_audio_and_audio_goes_on_behind_it() -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "pcma", dtmf=97))
    heard = call.carry(0, speech(8000, 0.4))
    for datagram in press(call.ends[0], "9", duration=100):
        heard += call.say(0, datagram)
    heard += call.carry(0, speech(8000, 0.4))
    assert len({one.ssrc for one in heard}) == 1
    assert [(one.sequence - heard[0].sequence) & 0xFFFF for one in heard] == list(range(len(heard)))
    audio = [one for one in heard if one.payload_type == 8]
    event = events(heard, 97)[0][3]
    after = audio[20]
    assert after.marker
    assert after.timestamp - event.timestamp == 800, "the time line has the 100 ms of the key in it"


def test_a_long_event_goes_on_in_a_next_segment() -> None:
    """1.5 s are 72,000 units of 48 kHz: more than the field has (2.5.1.3)."""
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "opus", dtmf=101))
    told = events([one for datagram in press(call.ends[0], "1", duration=1500) for one in call.say(0, datagram)], 101)
    first = told[0][3].timestamp
    segments = {one.timestamp - first for *_, one in told}
    assert segments == {0, 0xFFFF}
    assert max(duration for _, _, duration, one in told if one.timestamp == first) == 0xFFFF
    assert told[-1][2] == 72_000 - 0xFFFF
    assert [one.marker for *_, one in told] == [True] + [False] * (len(told) - 1)


def test_audio_that_comes_beside_an_event_is_not_passed_on() -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "pcma", dtmf=101))
    call.carry(0, speech(8000, 0.2))
    heard: list[Heard] = []
    end = call.ends[0]
    began = end.timestamp
    for place, payload in enumerate(packets("7", duration=100)):
        end.timestamp = began
        heard += call.say(0, end.packet(payload, number=101))
        end.timestamp = began + 160 * place
        heard += call.say(0, end.packet(b"\x20" * 160), 0)
    assert {one.payload_type for one in heard[:6]} == {101}


def test_a_lost_end_is_made_after_three_packet_times() -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "opus", dtmf=101))
    for datagram in press(call.ends[0], "3", duration=100)[:3]:
        call.say(0, datagram)
    assert call.wait(0, 0.05) == []
    told = events(call.wait(0, 0.02), 101)
    assert [(event, end, duration) for event, end, duration, _ in told] == [(3, True, 2880)] * 3
    assert call.wait(0, 0.2) == []


def test_repeated_ends_are_passed_on_three_times_and_no_more() -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "pcma", dtmf=101))
    datagrams = press(call.ends[0], "8", duration=60)
    heard = [one for datagram in datagrams for one in call.say(0, datagram)]
    again = bytearray(datagrams[-1])
    for late in range(1, 4):
        again[2:4] = (call.ends[0].sequence + late).to_bytes(2, "big")
        heard += call.say(0, bytes(again))
    assert [end for _, end, *_ in events(heard, 101)].count(True) == 3


@pytest.mark.parametrize("name", ["pcmu", "g722"])
@pytest.mark.parametrize("digit", list("123A456B789C*0#D"))
def test_tones_of_a_leg_without_events_become_one_event(name: str, digit: str) -> None:
    call = Call(End(4000, name), End(5000, "pcma", dtmf=101))
    rate = call.ends[0].rate
    heard = call.carry(0, np.concatenate([speech(rate, 0.5), keys(digit, rate, 0.1), speech(rate, 0.5)]))
    told = events(heard, 101)
    assert {event for event, *_ in told} == {"0123456789*#ABCD".index(digit)}
    assert [end for _, end, *_ in told] == [False] * (len(told) - 3) + [True] * 3
    assert 70 * 8 <= told[-1][2] <= 130 * 8
    assert len({one.timestamp for *_, one in told}) == 1
    samples, _ = call.ends[1].listen(heard)
    assert not _digits(samples), "the tone itself does not go on"


def test_two_presses_are_two_events() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "g722", dtmf=101))
    gap = np.zeros(8000 * 60 // 1000)
    heard = call.carry(0, np.concatenate([keys("4", 8000, 0.06), gap, keys("4", 8000, 0.06), gap, gap]))
    told = events(heard, 101)
    assert len({one.timestamp for *_, one in told}) == 2
    assert [one.marker for *_, one in told].count(True) == 2


@pytest.mark.parametrize("digit", list("147*D"))
def test_events_become_tones_for_a_leg_without_them(digit: str) -> None:
    call = Call(End(4000, "pcmu", dtmf=101), End(5000, "g722"))
    heard = call.carry(0, speech(8000, 0.4))
    for datagram in press(call.ends[0], digit, duration=100):
        heard += call.say(0, datagram)
    heard += call.carry(0, speech(8000, 0.4))
    assert {one.payload_type for one in heard} == {9}
    samples, rate = call.ends[1].listen(heard)
    assert _digits(samples, rate) == [digit]
    row = next(place for place, each in enumerate(KEYS) if digit in each)
    spectrum = samples[int(0.42 * rate) : int(0.48 * rate)]
    assert peak_of(spectrum, rate)[0] == pytest.approx(LOW[row], abs=40) or peak_of(spectrum, rate)[0] > 1100


def test_speech_is_no_digit() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "pcma", dtmf=101))
    heard = call.carry(0, speech(8000, 20))
    assert events(heard, 101) == []


@pytest.mark.parametrize(("ms", "found"), [(23, []), (40, ["6"]), (60, ["6"])])
def test_forty_milliseconds_are_a_digit_and_twenty_three_are_none(ms: int, found: list[str]) -> None:
    """ITU-T Q.24: 40 ms must be taken, 23 ms must not."""
    for offset in range(0, 80, 13):
        quiet = np.zeros(800 + offset)
        assert _digits(np.concatenate([quiet, keys("6", 8000, ms / 1000), quiet])) == found


def _digits(samples: Samples, rate: int = 8000) -> list[str]:
    listener = Listener(rate)
    return [part.digit for part in listener.hear(pcm(samples)) if isinstance(part, Pressed)]
