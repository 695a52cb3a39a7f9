"""What we send is one stream: own SSRC, and numbers that go on whatever the sender does."""

from __future__ import annotations

import itertools

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.counters import LATE, LOST, MALFORMED, REPLAYS
from cubeproxy.protocols.values import Codec

from .phones import Line, Phone, clear_line, key, secure_line


@pytest.fixture(params=[clear_line, secure_line], ids=["clear", "secure"])
def line(request: pytest.FixtureRequest) -> Line:
    made: Line = request.param()
    return made


def gap(first: int, second: int, width: int = 16) -> int:
    return (second - first) & ((1 << width) - 1)


def test_each_leg_gets_a_source_of_ours(line: Line) -> None:
    ssrcs = {line.talk(leg)[0].ssrc for leg in (0, 1)}
    assert len(ssrcs) == 2
    assert not ssrcs & {phone.ssrc for phone in line.phones}


def test_numbers_are_not_the_senders_but_move_with_them(line: Line) -> None:
    heard = line.talk(0, 5)
    assert [gap(a.sequence, b.sequence) for a, b in itertools.pairwise(heard)] == [1] * 4
    assert [gap(a.timestamp, b.timestamp, 32) for a, b in itertools.pairwise(heard)] == [160] * 4
    assert heard[0].timestamp != line.phones[0].timestamp - 4 * 160


def test_loss_before_us_stays_visible_behind_us(line: Line) -> None:
    first = line.talk(0)[0]
    second = line.carry(0, line.phones[0].say(step=4))
    assert second is not None
    assert gap(first.sequence, second.sequence) == 4
    assert gap(first.timestamp, second.timestamp, 32) == 640
    assert line.words(0, LOST) == 3


def test_overtaken_packets_keep_their_place(line: Line) -> None:
    sent = [line.phones[0].say(bytes((number,)) * 160) for number in range(5)]
    heard = [line.carry(0, sent[number]) for number in (0, 2, 1, 4, 3)]
    numbers = {each.payload[0]: each.sequence for each in heard if each}
    assert [gap(numbers[0], numbers[number]) for number in range(5)] == [0, 1, 2, 3, 4]
    assert line.words(0, LATE) == 2
    assert line.words(0, LOST) == 0


def test_a_packet_overtaken_at_the_very_start_still_arrives(line: Line) -> None:
    first, second = line.phones[0].say(), line.phones[0].say()
    later, earlier = line.carry(0, second), line.carry(0, first)
    assert later is not None
    assert earlier is not None
    assert gap(earlier.sequence, later.sequence) == 1


def test_a_packet_from_before_the_start_repairs_no_loss(line: Line) -> None:
    before = line.phones[0].say()
    line.talk(0)
    line.carry(0, line.phones[0].say(step=2))
    assert line.carry(0, before)
    assert line.words(0, LOST) == 1


def test_a_repeated_packet_goes_out_once(line: Line) -> None:
    datagram = line.phones[0].say()
    assert line.carry(0, datagram)
    assert line.carry(0, datagram) is None
    assert line.words(0, REPLAYS) == 1


def test_sequence_and_timestamp_wrap(line: Line) -> None:
    phone = line.phones[0]
    phone.sequence, phone.timestamp = 0xFFFD, 0xFFFFFF00
    heard = line.talk(0, 8)
    assert [gap(a.sequence, b.sequence) for a, b in itertools.pairwise(heard)] == [1] * 7
    assert [gap(a.timestamp, b.timestamp, 32) for a, b in itertools.pairwise(heard)] == [160] * 7
    assert line.words(0, LOST) == 0


def test_a_new_source_continues_our_stream(line: Line) -> None:
    """The sender changes SSRC and all its numbers (a transfer, music on hold): ours go on, marked once."""
    phone = line.phones[0]
    before = line.talk(0, 3)[-1]
    phone.ssrc, phone.sequence, phone.timestamp = 0xABCDEF, 40_000, 3_000_000_000
    after = line.talk(0, 3)
    assert after[0].ssrc == before.ssrc
    assert gap(before.sequence, after[0].sequence) == 1
    assert gap(before.timestamp, after[0].timestamp, 32) == pytest.approx(160, abs=1)
    assert [each.marker for each in after] == [True, False, False]


def test_the_timestamp_of_a_new_source_counts_the_time_that_passed(line: Line) -> None:
    before = line.talk(0)[0]
    line.now += 3.0
    line.phones[0].ssrc, line.phones[0].timestamp = 0xABCDEF, 7
    after = line.talk(0)[0]
    assert gap(before.timestamp, after.timestamp, 32) == pytest.approx(8000 * 3.02, abs=2)


def test_a_new_source_at_once_is_a_packet_length_later() -> None:
    line = clear_line()
    line.negotiate(line.phones[0].spec(), line.phones[1].spec(ptime=30))
    before = line.talk(0)[0]
    line.phones[0].ssrc, line.phones[0].timestamp = 0xABCDEF, 7
    line.now -= 0.0199
    assert gap(before.timestamp, line.talk(0)[0].timestamp, 32) == 240


def test_another_clock_joins_the_stream_anew() -> None:
    """The codec changes in mid-call from 8 to 48 kHz: our timestamps go on by the time that passed (RFC 7160 4.1)."""
    line = clear_line()
    before = line.talk(0)[0]
    opus = {"codec": Codec("opus", 48_000, 2)}
    line.negotiate(line.phones[0].spec(**opus), line.phones[1].spec(**opus))
    line.phones[0].timestamp += 1_000_000
    after = line.talk(0)[0]
    assert gap(before.sequence, after.sequence) == 1
    assert gap(before.timestamp, after.timestamp, 32) == pytest.approx(960, abs=1)


def test_late_packets_of_the_source_before_do_not_collide(line: Line) -> None:
    phone = line.phones[0]
    line.talk(0, 3)
    phone.ssrc, phone.sequence = 0xABCDEF, 40_000
    late, first = phone.say(), phone.say()
    heard = line.carry(0, first)
    assert heard
    assert line.carry(0, late) is None, "its number belongs to a packet of the source before"


def test_a_sender_that_counts_anew_is_believed_at_its_second_packet() -> None:
    line = clear_line()
    before = line.talk(0, 3)[-1]
    line.phones[0].sequence = 20_000
    assert line.carry(0, line.phones[0].say()) is None
    after = line.talk(0)[0]
    assert gap(before.sequence, after.sequence) == 1
    assert after.marker


def test_one_stray_number_does_not_move_the_stream() -> None:
    line = clear_line()
    phone = line.phones[0]
    before = line.talk(0)[0]
    place = phone.sequence
    phone.sequence = 20_000
    assert line.carry(0, phone.say()) is None
    phone.sequence = place
    assert gap(before.sequence, line.talk(0)[0].sequence) == 1


def test_a_stray_number_of_one_source_confirms_nothing_for_the_next() -> None:
    line = clear_line()
    phone = line.phones[0]
    line.talk(0)
    phone.sequence = 20_000
    assert line.carry(0, phone.say()) is None
    place = phone.sequence
    phone.ssrc, phone.sequence = 0xABCDEF, 50_000
    line.talk(0)
    phone.sequence = place
    assert line.carry(0, phone.say()) is None


def test_streams_begin_well_before_their_first_wrap() -> None:
    """RFC 3711 3.3.1: near the wrap a receiver that misses the first packets guesses the rollover wrongly."""
    first = [clear_line().talk(0)[0].sequence for _ in range(50)]
    assert max(first) < 0x8000 - 0x1000
    assert min(first) > 0x0FFF, "with room below for what is overtaken at the start"
    assert len(set(first)) > 10


def test_the_stream_goes_on_over_a_new_negotiation(line: Line) -> None:
    before = line.talk(0)[0]
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    after = line.talk(0)[0]
    assert (after.ssrc, gap(before.sequence, after.sequence)) == (before.ssrc, 1)
    assert gap(before.timestamp, after.timestamp, 32) == 160
    assert not after.marker


def test_the_stream_goes_on_over_new_keys_on_both_legs() -> None:
    line = Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), key(3), key(4)))
    before = line.talk(0)[0]
    line.phones[0].use(key(5), key(6))
    line.phones[1].use(key(7), key(8))
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    after = line.talk(0)[0]
    assert (after.ssrc, gap(before.sequence, after.sequence)) == (before.ssrc, 1)


def test_the_stream_goes_on_when_the_far_end_moves(line: Line) -> None:
    before = line.talk(0)[0]
    line.phones[1].address = ("127.0.0.7", 7000)
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    after = line.talk(0)[0]
    assert (after.ssrc, gap(before.sequence, after.sequence)) == (before.ssrc, 1)


def test_markers_pass(line: Line) -> None:
    line.talk(0)
    marks = [line.carry(0, line.phones[0].say(marker=mark)) for mark in (False, True, False)]
    assert [each.marker for each in marks if each] == [False, True, False]


class TestHold:
    def test_what_a_held_leg_says_goes_nowhere(self, line: Line) -> None:
        line.talk(0)
        line.negotiate(line.phones[0].spec(receives=False), line.phones[1].spec())
        assert line.carry(0, line.phones[0].say()) is None
        assert line.talk(1), "the other direction is not held"

    def test_nothing_is_sent_to_a_leg_that_we_do_not_send_to(self, line: Line) -> None:
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(sends=False))
        assert line.carry(0, line.phones[0].say()) is None

    @pytest.mark.parametrize("remote", [None, ("0.0.0.0", 5000), ("127.0.0.2", 0)])
    def test_an_address_to_which_nothing_can_go_is_a_hold(self, line: Line, remote: tuple[str, int] | None) -> None:
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(remote=remote))
        assert line.pass_on(0, line.phones[0].say()) is None

    def test_a_resumed_stream_has_no_gap_and_the_time_that_passed(self, line: Line) -> None:
        before = line.talk(0)[0]
        line.negotiate(line.phones[0].spec(receives=False), line.phones[1].spec())
        held = [line.phones[0].say() for _ in range(100)]
        for datagram in held[:-1]:
            assert line.carry(0, datagram) is None
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        after = line.talk(0)[0]
        assert gap(before.sequence, after.sequence) == 1
        assert gap(before.timestamp, after.timestamp, 32) == pytest.approx(160 * 100, abs=2)
        assert after.marker
        assert line.carry(0, held[-1]) is None, "said during the hold, and its number is taken"

    def test_what_was_overtaken_during_a_hold_is_not_let_out_before_the_stream_is_joined(self) -> None:
        line = clear_line()
        line.talk(0)
        line.negotiate(line.phones[0].spec(receives=False), line.phones[1].spec())
        held = [line.phones[0].say() for _ in range(10)]
        for datagram in (*held[:4], *held[5:]):
            assert line.carry(0, datagram) is None
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        assert line.carry(0, held[4]) is None
        assert line.talk(0, 10)

    def test_a_secure_leg_is_followed_through_a_hold_longer_than_its_sequence_space(self) -> None:
        line = secure_line()
        line.talk(0)
        line.negotiate(line.phones[0].spec(receives=False), line.phones[1].spec())
        for _ in range(70_000):
            assert line.pass_on(0, line.phones[0].say()) is None
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        assert line.talk(0, 3)


@settings(max_examples=80, deadline=None)
@given(
    secure=st.booleans(),
    start=st.integers(0, 0xFFFF),
    schedule=st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 6), st.sampled_from(("keep", "drop", "twice", "source", "hold"))),
        max_size=120,
    ),
)
def test_no_number_goes_out_twice_whatever_arrives(
    secure: bool, start: int, schedule: list[tuple[int, int, str]]
) -> None:
    """Loss, reordering, repetition, new sources and holds in any mixture.

    To a secure far end libsrtp itself would refuse a second use of a number, and its phone a broken order of
    rollover; to a clear one the numbers are ours alone.
    """
    far = (key(3), key(4)) if secure else (None, None)
    line = Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), *far))
    phone = line.phones[0]
    phone.sequence = start
    waiting: list[bytes] = []
    numbers: list[int] = []
    held = False
    for step, depth, fate in schedule:
        if fate == "source":
            phone.ssrc += 1
            phone.sequence = (phone.sequence * 7 + 11) & 0xFFFF
        elif fate == "hold":
            held = not held
            line.negotiate(phone.spec(receives=not held), line.phones[1].spec())
        waiting.append(phone.say(step=step))
        if fate == "twice":
            waiting.append(waiting[-1])
        if fate == "drop":
            waiting.pop()
        while len(waiting) > depth:
            heard = line.carry(0, waiting.pop(depth // 2))
            if heard is not None:
                numbers.append(heard.sequence)
    assert len(numbers) == len(set(numbers))
    assert line.words(0, MALFORMED) == 0, "nothing was refused by libsrtp that we had let through"


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 0xFFFF),
    order=st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1, max_size=150),
)
def test_a_steady_sender_is_moved_by_a_constant(start: int, order: list[tuple[int, bool]]) -> None:
    """Every packet comes out at its own place, whatever is lost or overtaken by fewer than the window."""
    line = clear_line()
    phone = line.phones[0]
    phone.sequence = start
    packets = [(number, phone.say(number.to_bytes(4, "big"))) for number in range(len(order))]
    keys = [number + jump % 8 for number, (jump, _lost) in enumerate(order)]
    arriving = sorted(packets, key=lambda each: keys[each[0]])
    places = set()
    for number, datagram in arriving:
        if order[number][1]:
            continue
        heard = line.carry(0, datagram)
        assert heard is not None
        assert int.from_bytes(heard.payload, "big") == number
        places.add((gap(number, heard.sequence), gap(number * 160, heard.timestamp, 32)))
    assert len(places) <= 1


def test_the_independent_encoder_is_libsrtp_itself() -> None:
    """Guards the tests above: a phone with the wrong key hears nothing."""
    line = secure_line()
    line.phones[0].use(key(1), key(9))
    with pytest.raises(pylibsrtp.Error):
        line.carry(1, line.phones[1].say())
