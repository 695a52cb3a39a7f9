"""Digits in RTP: every key is heard once, whatever the network does to its packets (RFC 4733)."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.telephone_event import (
    TRANSITIONS,
    Ended,
    EventReceiver,
    Input,
    Output,
    Started,
    State,
    TelephoneEvent,
    packets,
)

Row = tuple[State, Input, tuple[int, bytes] | None, list[str], State]


def event(digit: str, duration: int, *, end: bool = False) -> bytes:
    return TelephoneEvent("0123456789*#ABCD".index(digit), end, 10, duration).pack()


def heard(outputs: list[Output]) -> list[str]:
    """`5+` for a key that went down, `5-800` for one that came up after so many units."""
    return [
        f"{output.event.digit}+" if isinstance(output, Started) else f"{output.event.digit}-{output.duration}"
        for output in outputs
    ]


class Listener:
    """A receiver with everything that it said."""

    def __init__(self) -> None:
        self.machine = EventReceiver()
        self.said: list[str] = []

    def take(self, timestamp: int, *payloads: bytes) -> list[str]:
        outputs = [output for payload in payloads for output in self.machine.receive(timestamp, payload)]
        self.said += heard(outputs)
        return heard(outputs)


@pytest.fixture
def listener() -> Listener:
    return Listener()


class TestPayload:
    def test_octets(self) -> None:
        assert TelephoneEvent(5, True, 10, 800).pack() == bytes.fromhex("058a0320")
        assert TelephoneEvent.parse(bytes.fromhex("058a0320")) == TelephoneEvent(5, True, 10, 800)
        assert TelephoneEvent.parse(bytes.fromhex("0b4a0320")) == TelephoneEvent(11, False, 10, 800)

    def test_digits(self) -> None:
        assert "".join(TelephoneEvent(code, False, 0, 0).digit for code in range(18)) == "0123456789*#ABCD"

    @pytest.mark.parametrize("payload", [b"", b"\5", b"\5\x8a\3"])
    def test_a_short_payload_is_refused(self, payload: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            EventReceiver().receive(0, payload)

    def test_a_key_press_on_the_wire(self) -> None:
        assert packets("5", duration=60) == [
            event("5", 160),
            event("5", 320),
            event("5", 480, end=True),
            event("5", 480, end=True),
            event("5", 480, end=True),
        ]
        assert (
            packets("d", duration=10, ptime=20, clock=16000, volume=63)
            == [TelephoneEvent(15, True, 63, 160).pack()] * 3
        )

    @pytest.mark.parametrize(("digit", "duration"), [("x", 100), ("5", 0), ("5", 8192), ("", 100)])
    def test_what_is_no_key_press_is_our_mistake(self, digit: str, duration: int) -> None:
        with pytest.raises(ValueError):
            packets(digit or "no digit", duration=duration)


class TestReceiver:
    def test_a_key_is_heard_once(self, listener: Listener) -> None:
        listener.take(1000, *packets("5"))
        assert listener.said == ["5+", "5-800"]

    def test_it_is_heard_at_its_first_packet(self, listener: Listener) -> None:
        assert listener.take(1000, event("5", 160)) == ["5+"]
        assert listener.machine.state is State.ACTIVE

    def test_the_same_key_again_is_another_digit(self, listener: Listener) -> None:
        listener.take(1000, *packets("5"))
        listener.take(3000, *packets("5"))
        assert listener.said == ["5+", "5-800"] * 2

    def test_one_packet_of_it_is_enough(self, listener: Listener) -> None:
        assert listener.take(1000, event("#", 800, end=True)) == ["#+", "#-800"]
        assert listener.take(4000, event("*", 800, end=True)) == ["*+", "*-800"]

    def test_without_its_end_a_key_ends_with_the_next(self, listener: Listener) -> None:
        listener.take(1000, event("1", 160), event("1", 320))
        assert listener.take(3000, event("2", 160)) == ["1-320", "2+"]
        assert listener.take(5000, event("3", 800, end=True)) == ["2-160", "3+", "3-800"]

    def test_or_when_nothing_comes_any_more(self, listener: Listener) -> None:
        listener.take(1000, event("1", 160))
        assert heard(listener.machine.lost()) == ["1-160"]
        assert listener.machine.lost() == []
        assert listener.take(1000, event("1", 320), event("1", 480, end=True)) == []

    def test_packets_that_overtake_each_other(self) -> None:
        press = packets("7", duration=40)
        for order in permutations(press[:-1]):
            listener = Listener()
            listener.take(1000, *order)
            assert listener.said == ["7+", "7-320"]

    def test_a_late_packet_of_an_earlier_key_is_none(self, listener: Listener) -> None:
        listener.take(1000, *packets("1"))
        listener.take(3000, event("2", 160))
        assert listener.take(1000, event("1", 800, end=True)) == []
        assert listener.take(3000, event("2", 800, end=True)) == ["2-800"]
        assert listener.take(1000, event("1", 800)) == []

    def test_timestamps_wrap(self, listener: Listener) -> None:
        listener.take(2**32 - 100, *packets("1"))
        assert listener.take(3000, *packets("2")) == ["2+", "2-800"]

    def test_a_key_held_for_longer_than_one_segment(self, listener: Listener) -> None:
        listener.take(1000, event("5", 160), event("5", 0xFFFF))
        assert listener.take(1000 + 0xFFFF, event("5", 160)) == []
        assert listener.take(1000 + 2 * 0xFFFF, event("5", 400, end=True)) == [f"5-{2 * 0xFFFF + 400}"]

    def test_after_its_end_the_same_distance_is_a_new_key(self, listener: Listener) -> None:
        listener.take(1000, *packets("5"))
        assert listener.take(1000 + 0xFFFF, event("5", 160)) == ["5+"]
        listener.take(1000 + 0xFFFF, event("5", 320, end=True))
        assert listener.take(1000 + 2 * 0xFFFF, event("5", 320, end=True)) == ["5+", "5-320"]

    def test_another_key_never_continues_one(self, listener: Listener) -> None:
        listener.take(1000, event("5", 0xFFFF))
        assert listener.take(1000 + 0xFFFF, event("6", 160)) == ["5-65535", "6+"]

    def test_before_any_key_nothing_is_lost(self, listener: Listener) -> None:
        assert listener.machine.lost() == []

    def test_the_table_answers_everything(self) -> None:
        assert set(TRANSITIONS) == {(state, received) for state in State for received in Input}
        assert set(TRANSITIONS) == {(state, received) for state, received, *_ in self.ROWS}

    # State before, input, the arrival that is this input after key 5 at 100000 (None: nothing came), what is said
    # to it, state after. RFC 4733 2.5.
    NEXT = 100000 + 0xFFFF
    ROWS: tuple[Row, ...] = (
        (State.IDLE, Input.NEW, (200000, event("6", 1)), ["6+"], State.ACTIVE),
        (State.IDLE, Input.NEW_LAST, (200000, event("6", 1, end=True)), ["6+", "6-1"], State.IDLE),
        (State.IDLE, Input.NEXT_SEGMENT, (NEXT, event("5", 1)), ["5+"], State.ACTIVE),
        (State.IDLE, Input.NEXT_SEGMENT_LAST, (NEXT, event("5", 1, end=True)), ["5+", "5-1"], State.IDLE),
        (State.IDLE, Input.UPDATE, (100000, event("5", 900)), [], State.IDLE),
        (State.IDLE, Input.LAST, (100000, event("5", 900, end=True)), [], State.IDLE),
        (State.IDLE, Input.STALE, (99000, event("4", 900)), [], State.IDLE),
        (State.IDLE, Input.LOST, None, [], State.IDLE),
        (State.ACTIVE, Input.NEW, (200000, event("6", 1)), ["5-800", "6+"], State.ACTIVE),
        (State.ACTIVE, Input.NEW_LAST, (200000, event("6", 1, end=True)), ["5-800", "6+", "6-1"], State.IDLE),
        (State.ACTIVE, Input.NEXT_SEGMENT, (NEXT, event("5", 1)), [], State.ACTIVE),
        (State.ACTIVE, Input.NEXT_SEGMENT_LAST, (NEXT, event("5", 1, end=True)), ["5-65536"], State.IDLE),
        (State.ACTIVE, Input.UPDATE, (100000, event("5", 900)), [], State.ACTIVE),
        (State.ACTIVE, Input.LAST, (100000, event("5", 900, end=True)), ["5-900"], State.IDLE),
        (State.ACTIVE, Input.STALE, (99000, event("4", 900)), [], State.ACTIVE),
        (State.ACTIVE, Input.LOST, None, ["5-800"], State.IDLE),
    )

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].name}-{row[1].name}")
    def test_row(
        self, listener: Listener, row: tuple[State, Input, tuple[int, bytes] | None, list[str], State]
    ) -> None:
        state, received, arrival, said, after = row
        machine = listener.machine
        listener.take(100000, event("5", 800, end=state is State.IDLE))
        assert machine.state is state
        memory = [getattr(machine, name) for name in EventReceiver.__slots__ if name != "state"]
        if arrival is None:
            assert received is Input.LOST
            assert heard(machine.lost()) == said
        else:
            assert machine._classify(arrival[0], TelephoneEvent.parse(arrival[1])) is received
            assert listener.take(*arrival) == said
        assert machine.state is after
        if not said and state is State.IDLE:
            assert memory == [getattr(machine, name) for name in EventReceiver.__slots__ if name != "state"]

    @given(st.lists(st.tuples(st.sampled_from("0123456789*#ABCD"), st.sets(st.integers(0, 6), min_size=1)), max_size=8))
    def test_any_loss_that_leaves_a_packet_leaves_the_digit(self, keys: list[tuple[str, set[int]]]) -> None:
        listener = Listener()
        for number, (digit, kept) in enumerate(keys):
            listener.take(number * 2000, *[packet for place, packet in enumerate(packets(digit)) if place in kept])
        assert [said[0] for said in listener.said if said.endswith("+")] == [digit for digit, _ in keys]

    @given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=6)), max_size=30))
    def test_starts_and_ends_alternate_whatever_comes(self, arrivals: list[tuple[int, bytes]]) -> None:
        machine = EventReceiver()
        said: list[Output] = []
        for timestamp, payload in arrivals:
            try:
                said += machine.receive(timestamp, payload)
            except RemoteProtocolError:
                assert len(payload) < 4
        said += machine.lost()
        assert [type(output) for output in said] == [Started, Ended] * (len(said) // 2)
