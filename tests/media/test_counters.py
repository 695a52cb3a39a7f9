"""Counters: what they count, and that the reader sees what the writer wrote."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media import counters
from cubeproxy.media.counters import Board, stream_counters
from cubeproxy.media.relay import Session
from cubeproxy.protocols.values import StreamCounters

from .phones import clear_line


@pytest.fixture
def boards() -> tuple[Board, Board]:
    """The worker's view and that of signalling."""
    descriptor = counters.create(3)
    try:
        return Board(descriptor), Board(descriptor)
    finally:
        os.close(descriptor)


def test_the_reader_sees_each_slot_and_leg_apart(boards: tuple[Board, Board]) -> None:
    writer, reader = boards
    for slot in range(3):
        for leg, words in enumerate(writer.claim(slot, 10 + slot)):
            words[counters.RECEIVED] = 100 * slot + leg
            words[counters.INDEX_OUT] = 7 << 32 | slot
    for slot in range(3):
        first, second = reader.read(slot, 10 + slot)
        assert (first.received, second.received) == (100 * slot, 100 * slot + 1)
        assert reader.indexes(slot, 1) == (0, 7 << 32 | slot)


def test_a_slot_that_is_not_claimed_yet_reads_as_zeros(boards: tuple[Board, Board]) -> None:
    writer, reader = boards
    writer.claim(0, 1)[0][counters.RECEIVED] = 5
    assert reader.read(0, 2) == (StreamCounters(), StreamCounters())


def test_a_claimed_slot_starts_from_zero(boards: tuple[Board, Board]) -> None:
    writer, reader = boards
    writer.claim(0, 1)[1][counters.SENT] = 5
    writer.claim(0, 2)
    assert reader.read(0, 2) == (StreamCounters(), StreamCounters())


def test_every_field_has_its_word() -> None:
    words = counters.private_words()
    for position in range(counters.LEG_WORDS):
        words[position] = position + 1
    words[counters.JITTER] = 16 * 12
    assert stream_counters(words) == StreamCounters(*range(1, 13), *range(15, 21))


def test_both_legs_count_packets_and_octets() -> None:
    line = clear_line()
    line.talk(0, 3)
    line.carry(1, line.phones[1].say(b"x" * 80))
    access, core = (stream_counters(leg.words) for leg in line.session.legs)
    assert (access.received, access.received_octets, access.sent, access.sent_octets) == (3, 480, 1, 80)
    assert (core.received, core.received_octets, core.sent, core.sent_octets) == (1, 80, 3, 480)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.015, 0.015), min_size=2, max_size=80))
def test_jitter_follows_the_formula_of_rfc_3550(shifts: list[float]) -> None:
    """Against the definition in floating point: J += (|D| - J) / 16, within the integer method's rounding."""
    line = clear_line()
    session: Session = line.session
    phone = line.phones[0]
    expected, transit = 0.0, None
    for number, shift in enumerate(shifts):
        arrival = 100 + 0.02 * number + shift
        session.receive(0, phone.say(), phone.address, arrival)
        last, transit = transit, arrival * 8000 - phone.timestamp
        if last is not None:
            expected += (abs(transit - last) - expected) / 16
    assert stream_counters(session.legs[0].words).jitter == pytest.approx(expected, abs=3)


def test_steady_arrival_has_no_jitter() -> None:
    line = clear_line()
    line.talk(0, 100)
    assert stream_counters(line.session.legs[0].words).jitter <= 1
