"""Packet periods, loss, order, silence and changes of sender: what the other leg gets, and when."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cubeproxy.media.counters import JITTER, LOST, MALFORMED
from cubeproxy.media.transcoding import CodingSession
from cubeproxy.protocols.rtcp import SenderReport, parse

from ..phones import Heard, key
from .ends import Call, End
from .signals import likeness, peak_of, speech, tone


@pytest.mark.parametrize("first", [10, 20, 30, 40])
@pytest.mark.parametrize("second", [10, 20, 30, 40])
@pytest.mark.parametrize("names", [("pcmu", "pcmu"), ("pcmu", "g729"), ("g722", "pcma")], ids="-".join)
def test_every_packet_period_into_every_other(names: tuple[str, str], first: int, second: int) -> None:
    call = Call(End(4000, names[0], first), End(5000, names[1], second))
    for leg in (0, 1):
        source, sink = call.ends[leg], call.ends[1 - leg]
        heard = call.carry(leg, tone(source.rate, 1.2))
        step = 8 * sink.ptime
        assert [(one.timestamp - heard[0].timestamp) % 2**32 for one in heard] == [step * n for n in range(len(heard))]
        samples, rate = sink.listen(heard)
        assert len(samples) / rate > 1.2 - 0.08
        frequency, *_ = peak_of(samples[rate // 2 : rate], rate)
        assert frequency == pytest.approx(1004, abs=2)


def timestamps(heard: list[Heard], step: int = 160) -> list[int]:
    """In packets since the first."""
    return [((one.timestamp - heard[0].timestamp) % 2**32) // step for one in heard]


@pytest.mark.parametrize("name", ["pcmu", "g722", "opus", "g729"])
def test_a_lost_packet_is_concealed_in_its_place(name: str) -> None:
    call = Call(End(4000, name), End(5000, "pcma"))
    datagrams = call.ends[0].packets(tone(call.ends[0].rate, 1, 400))
    heard = [one for place, datagram in enumerate(datagrams) if place != 20 for one in call.say(0, datagram)]
    assert timestamps(heard) == list(range(len(heard)))
    assert [(one.sequence - heard[0].sequence) & 0xFFFF for one in heard] == list(range(len(heard)))
    samples, _ = call.ends[1].listen(heard)
    gap = samples[20 * 160 : 21 * 160]
    assert np.sqrt(np.mean(gap**2)) > 1500, "there is sound where the packet was"
    assert call.session.legs[0].words[LOST] == 1


def test_a_long_loss_is_concealed_for_a_while_and_then_left_out() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "pcma"))
    datagrams = call.ends[0].packets(tone(8000, 1, 400))
    heard = [one for place, datagram in enumerate(datagrams) if not 10 <= place < 30 for one in call.say(0, datagram)]
    numbers = timestamps(heard)
    assert numbers[:15] == list(range(15)), "100 ms"
    assert numbers[15] == 30
    assert heard[15].marker


def test_packets_that_overtake_each_other_are_put_in_order() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "g722"))
    datagrams = call.ends[0].packets(speech(8000, 2))
    for place in range(5, 90, 9):
        datagrams[place], datagrams[place + 1] = datagrams[place + 1], datagrams[place]
    heard = [one for datagram in datagrams for one in call.say(0, datagram)]
    assert timestamps(heard) == list(range(len(heard)))
    samples, rate = call.ends[1].listen(heard)
    assert likeness(speech(rate, 2), samples, rate)[1] > 0.95
    assert call.session.legs[0].words[LOST] == 0


def test_a_repeated_packet_is_said_once() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "pcma"))
    datagrams = call.ends[0].packets(tone(8000, 0.4))
    heard = [one for datagram in datagrams for one in call.say(0, datagram) + call.say(0, datagram, 0)]
    assert timestamps(heard) == list(range(len(datagrams)))


def test_what_waits_for_a_missing_packet_goes_on_when_the_sender_falls_silent() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "pcma"))
    datagrams = call.ends[0].packets(tone(8000, 0.2))
    for datagram in (*datagrams[:5], datagrams[6]):
        last = call.say(0, datagram)
    assert last == []
    assert call.session.deadline == pytest.approx(call.now + 0.06)
    assert len(call.wait(0, 0.07)) == 2
    assert call.session.deadline is None


def test_silence_that_is_not_sent_stays_silence_and_speech_begins_with_the_marker() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "g729"))
    heard = call.carry(0, tone(8000, 0.2))
    call.ends[0].timestamp += 8000
    call.now += 1
    heard += call.carry(0, tone(8000, 0.2))
    assert timestamps(heard) == [*range(10), *range(60, 70)]
    assert [one.marker for one in heard].count(True) == 2
    assert heard[10].marker


def test_comfort_noise_goes_on_as_such_between_the_laws_and_as_noise_elsewhere() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "pcma"))
    call.carry(0, tone(8000, 0.2))
    (noise,) = call.say(0, call.ends[0].packet(b"\x3c", number=13, ticks=0))
    assert (noise.payload_type, noise.payload) == (13, b"\x3c")
    call = Call(End(4000, "pcmu"), End(5000, "g722"))
    call.carry(0, tone(8000, 0.2))
    heard = call.say(0, call.ends[0].packet(b"\x28", number=13, ticks=0))
    assert [one.payload_type for one in heard][-1] == 9


def test_a_silence_descriptor_of_g729_becomes_comfort_noise() -> None:
    call = Call(End(4000, "g729"), End(5000, "pcmu"))
    call.carry(0, tone(8000, 0.2))
    heard = call.say(0, call.ends[0].packet(b"\x12\x34"))
    assert heard[-1].payload_type == 13
    assert len(heard[-1].payload) == 1


def test_another_sender_joins_where_the_time_line_stands() -> None:
    """A transfer, or music on hold: our stream goes on (RFC 3550 5.1)."""
    call = Call(End(4000, "pcmu"), End(5000, "g722"))
    heard = call.carry(0, tone(8000, 0.2))
    phone = call.ends[0]
    phone.ssrc, phone.sequence, phone.timestamp = 7, 40_000, 0x12345678
    call.now += 0.48
    heard += call.carry(0, tone(8000, 0.2))
    assert len({one.ssrc for one in heard}) == 1
    assert [(one.sequence - heard[0].sequence) & 0xFFFF for one in heard] == list(range(len(heard)))
    assert timestamps(heard)[10] == pytest.approx(34, abs=1)
    assert heard[10].marker


def test_what_is_no_payload_is_counted_and_breaks_nothing() -> None:
    call = Call(End(4000, "g729"), End(5000, "pcmu"))
    call.carry(0, tone(8000, 0.2))
    assert call.say(0, call.ends[0].packet(b"\xff" * 7)) == []
    assert call.say(0, call.ends[0].packet(b"", number=77)) == []
    assert call.session.legs[0].words[MALFORMED] == 2
    assert len(call.carry(0, tone(8000, 0.2))) >= 10


def test_secure_legs_are_protected_as_everywhere() -> None:
    first, second = End(4000, "pcmu"), End(5000, "g722")
    first.use(key(1), key(2))
    session = CodingSession()
    session.update((first.leg, second.leg), 100.0)
    datagrams = second.packets(tone(16_000, 0.4))
    out = [session.receive(1, datagram, second.address, 100 + n / 50) for n, datagram in enumerate(datagrams)]
    heard = [first.hear(one[0]) for one in out if one]
    assert len(heard) >= 18, "each verified under the key of its leg"
    assert len({one.sequence for one in heard}) == len(heard)


def test_codecs_that_change_in_a_call_keep_the_numbers_going() -> None:
    call = Call(End(4000, "pcmu"), End(5000, "g722"))
    heard = call.carry(0, tone(8000, 0.2))
    other = End(5000, "pcma")
    call.ends = (call.ends[0], other)
    call.session.update((call.ends[0].leg, other.leg), call.now)
    heard += call.carry(0, tone(8000, 0.2))
    assert [one.payload_type for one in heard] == [9] * 9 + [8] * 10
    assert [(one.sequence - heard[0].sequence) & 0xFFFF for one in heard] == list(range(len(heard)))
    same = End(5000, "pcmu")
    call.ends = (call.ends[0], same)
    call.session.update((call.ends[0].leg, same.leg), call.now)
    more = call.carry(0, tone(8000, 0.2))
    assert [one.payload_type for one in more] == [0] * 10
    assert (more[0].sequence - heard[-1].sequence) & 0xFFFF == 1


def test_jitter_is_measured_in_the_clock_of_what_comes_in() -> None:
    call = Call(End(4000, "opus"), End(5000, "pcmu"))
    for leg in (0, 1):
        call.carry(leg, tone(call.ends[leg].rate, 0.4))
        assert call.session.legs[leg].words[JITTER] >> 4 <= 1, "packets that come in step have none"


def test_reports_of_each_leg_are_in_its_own_clock() -> None:
    """RFC 3550 7.2: a translator that changes the payload makes its own, with time stamps of that leg."""
    call = Call(End(4000, "opus"), End(5000, "pcmu"))
    call.session = CodingSession()
    call.session.report_every(1.0, call.now, 1_800_000_000.0)
    call.session.update((call.ends[0].leg, call.ends[1].leg), call.now)
    heard = [call.carry(0, tone(16_000, 0.4)), call.carry(1, tone(8000, 0.4))]
    told = call.session.reports(call.now + 3)
    assert {leg for leg, *_ in told} == {0, 1}
    for leg, datagram, _address, _muxed in told:
        (sender, *_rest) = parse(datagram)
        assert isinstance(sender, SenderReport)
        of_leg = heard[1 - leg]
        assert sender.ssrc == of_leg[0].ssrc
        assert sender.packets == len(of_leg)
        clock = call.ends[leg].codec.clock
        ahead = (sender.timestamp - of_leg[-1].timestamp) % 2**32
        assert ahead / clock == pytest.approx(3, abs=0.5)


def test_what_was_lost_is_concealed_before_the_next_packet_is_decoded() -> None:
    """A decoder that remembers (G.729) must see them in this order."""
    call = Call(End(4000, "g729"), End(5000, "pcmu"))
    datagrams = call.ends[0].packets(tone(8000, 0.4, 400))
    coder: Any = call.session._coding[0].coder
    order: list[str] = []
    decode: Callable[[bytes], array[int]] = coder._decoder.decode
    conceal: Callable[[int], array[int]] = coder._decoder.conceal

    def decoding(payload: bytes) -> array[int]:
        order.append("decode")
        return decode(payload)

    def concealing(samples: int) -> array[int]:
        order.append(f"conceal {samples}")
        return conceal(samples)

    coder._decoder.decode, coder._decoder.conceal = decoding, concealing
    for place, datagram in enumerate(datagrams[:10]):
        if place != 4:
            call.say(0, datagram)
    assert order == ["decode"] * 4 + ["conceal 160"] + ["decode"] * 5


def test_a_packet_that_is_longer_than_any_period_is_dropped() -> None:
    """134 frames of G.729 would be 67 packets out for one in."""
    call = Call(End(4000, "g729"), End(5000, "pcmu"))
    call.carry(0, tone(8000, 0.2))
    assert call.say(0, call.ends[0].packet(bytes(1340))) == []
    assert call.session.legs[0].words[MALFORMED] == 1
