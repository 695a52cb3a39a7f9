"""The gate without sockets, on a clock that the test moves."""

from __future__ import annotations

import random

import pytest

from cubeproxy.transport.gate import Admitted, Gate, Phase, Refused, Ticket, source_of
from cubeproxy.transport.limits import Limits

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def admitted(gate: Gate, host: str, now: float = 0.0) -> Ticket:
    answer = gate.admit(host, now)
    assert isinstance(answer, Admitted), answer
    return answer.ticket


def refused(gate: Gate, host: str, now: float = 0.0) -> str:
    answer = gate.admit(host, now)
    assert isinstance(answer, Refused), answer
    return answer.cause


def test_a_silent_connection_ends_with_the_first_octet_timer() -> None:
    gate = Gate(Limits(first_octet=5))
    ticket = admitted(gate, A, 0.0)
    assert gate.deadline == 5.0
    assert gate.timeout(4.99) == []
    assert gate.timeout(5.0) == [(ticket, "first-octet")]
    assert ticket.phase is Phase.GONE
    assert gate.half_open_total == 0
    assert gate.half_open == {}


def test_a_handshake_has_its_own_timer_from_the_first_record() -> None:
    gate = Gate(Limits(first_octet=5, handshake=10))
    ticket = admitted(gate, A, 0.0)
    assert gate.first_record(ticket, 4.0)
    assert gate.timeout(13.9) == []
    assert gate.timeout(14.0) == [(ticket, "handshake")]
    assert gate.shaking_total == 0


def test_half_open_slots_are_counted_by_address() -> None:
    gate = Gate(Limits(half_open_per_address=2))
    admitted(gate, A)
    second = admitted(gate, A)
    assert refused(gate, A) == "address-half-open"
    admitted(gate, B)
    gate.establish(second)  # is half-open no longer
    admitted(gate, A)


def test_a_full_hall_makes_the_oldest_silent_connection_leave() -> None:
    gate = Gate(Limits(half_open_total=2))
    first, second = admitted(gate, A, 0.0), admitted(gate, B, 1.0)
    gate.first_record(first, 1.0)  # spoke: he stays
    answer = gate.admit(C, 2.0)
    assert isinstance(answer, Admitted)
    assert answer.displaced is second
    assert second.phase is Phase.GONE
    assert first.phase is Phase.SHAKING


def test_a_hall_full_of_handshakes_refuses() -> None:
    gate = Gate(Limits(half_open_total=1))
    gate.first_record(admitted(gate, A), 0.0)
    assert refused(gate, B) == "half-open"


def test_established_connections_are_bounded_by_address_and_in_total() -> None:
    gate = Gate(Limits(established_per_address=1, established_total=2))
    first = admitted(gate, A)
    gate.establish(first)
    assert refused(gate, A) == "address-established"
    gate.establish(admitted(gate, B))
    assert refused(gate, C) == "established"
    gate.leave(first)
    gate.leave(first)  # said twice, counted once
    admitted(gate, C)
    assert gate.established_total == 1


def test_handshake_places_are_few_and_shared_fairly() -> None:
    """One address with many handshakes cannot keep another one waiting."""
    gate = Gate(Limits(handshakes_total=3, handshakes_per_address=2))
    many = [admitted(gate, A) for _ in range(4)]
    assert [gate.first_record(ticket, 0.0) for ticket in many] == [True, True, False, False]
    other = admitted(gate, B)
    assert gate.first_record(other, 0.0)  # the third place is his at once
    another = admitted(gate, C)
    assert not gate.first_record(another, 0.0)
    gate.establish(many[0])
    assert gate.startable() == [many[2]]  # A waited longest, and has a place of its own free
    gate.establish(other)
    assert gate.startable() == [another]  # A is at its own limit, C is not
    assert gate.startable() == []
    gate.leave(many[3])  # gave up while waiting
    gate.leave(many[1])
    assert gate.startable() == []
    assert gate.shaking == {A: 1, C: 1}


def test_waiting_counts_against_the_handshake_timer() -> None:
    gate = Gate(Limits(handshakes_total=0, handshake=10))
    ticket = admitted(gate, A, 0.0)
    assert not gate.first_record(ticket, 1.0)
    assert gate.timeout(11.0) == [(ticket, "handshake")]
    assert gate.startable() == []


def test_failed_handshakes_keep_an_address_out_for_a_while() -> None:
    gate = Gate(Limits(refusals_burst=3, refusals_per_second=0.5))
    for _ in range(3):
        ticket = admitted(gate, A)
        gate.penalise(ticket, 0.0)
        gate.leave(ticket)
    assert refused(gate, A) == "penalty"
    admitted(gate, B)
    assert refused(gate, A, 1.9) == "penalty"
    admitted(gate, A, 2.0)


def test_penalties_do_not_pile_up() -> None:
    """Handshakes that began before the address was shut out do not prolong it."""
    gate = Gate(Limits(refusals_burst=1, refusals_per_second=1))
    tickets = [admitted(gate, A) for _ in range(50)]
    for ticket in tickets:
        gate.penalise(ticket, 0.0)
    assert refused(gate, A, 0.5) == "penalty"
    admitted(gate, A, 1.0)


def test_penalties_are_kept_for_a_bounded_number_of_addresses() -> None:
    gate = Gate(Limits())
    for number in range(5000):
        ticket = admitted(gate, f"10.0.{number >> 8}.{number & 255}")
        gate.penalise(ticket, 0.0)
        gate.leave(ticket)
    assert len(gate._penalties) <= 4096


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8::9", "2001:db8:0:0::/64"),
        ("fe80::1%eth0", "fe80:0:0:0::/64"),
        ("::1", "0:0:0:0::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_the_unit_of_counting(host: str, source: str) -> None:
    assert source_of(host) == source


@pytest.mark.parametrize("seed", range(20))
def test_no_slot_is_lost_or_won_in_any_order_of_events(seed: int) -> None:
    """Whatever happens to connections, in whatever order: when all have left, every count is zero."""
    rng = random.Random(seed)
    limits = Limits(half_open_total=20, handshakes_total=4, handshakes_per_address=2, first_octet=3, handshake=4)
    gate = Gate(limits)
    alive: list[Ticket] = []
    now = 0.0
    for _ in range(400):
        now += rng.random() / 2
        step = rng.randrange(6)
        if step <= 1:
            answer = gate.admit(rng.choice([A, B, C]), now)
            if isinstance(answer, Admitted):
                alive.append(answer.ticket)
        elif step == 2 and alive:
            ticket = rng.choice(alive)
            if ticket.phase is Phase.SILENT:
                gate.first_record(ticket, now)
        elif step == 3 and alive:
            ticket = rng.choice(alive)
            if ticket.phase is Phase.SHAKING:
                gate.establish(ticket)
        elif step == 4 and alive:
            gate.leave(alive.pop(rng.randrange(len(alive))))
        else:
            gate.timeout(now)
            gate.startable()
        phases = [ticket.phase for ticket in alive]
        assert gate.shaking_total == phases.count(Phase.SHAKING) <= 4
        assert gate.established_total == phases.count(Phase.ESTABLISHED)
        assert gate.half_open_total == sum(phase < Phase.ESTABLISHED for phase in phases) <= 20
    for ticket in alive:
        gate.leave(ticket)
    assert (gate.half_open, gate.shaking, gate.established) == ({}, {}, {})
    assert gate.deadline is None
    assert not gate._waiting
