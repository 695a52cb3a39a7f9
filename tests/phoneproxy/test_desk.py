"""The desk at port 69: admission, sessions, and that forged requests cost little."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.phoneproxy.budget import Budget, network_of
from cubeproxy.phoneproxy.desk import Answer, CloseTransfer, Desk, DeskEffect, FetchFile, OpenTransfer, Transmit
from cubeproxy.protocols.tftp import Ack, Pace, Packet, Request, parse_packet
from cubeproxy.protocols.values import Address
from tests.protocols.tftp.stage import PEER, word

NAME = "CTLSEP001122334455.tlv"
OTHER: Address = ("127.0.10.10", 50123)


def told(effects: list[DeskEffect]) -> list[str]:
    words = []
    for effect in effects:
        match effect:
            case FetchFile():
                words.append(f"fetch {effect.ticket} {effect.wanted.name}")
            case Answer():
                words.append(f"answer {word(parse_packet(effect.data))}")
            case OpenTransfer():
                words.append(f"open {effect.ticket}")
            case Transmit():
                words.append(f"{effect.ticket}: {word(parse_packet(effect.data))}")
            case CloseTransfer():
                words.append(f"close {effect.ticket} {effect.cause} {effect.octets}")
    return words


def ask(desk: Desk, packet: Packet | None = None, source: Address = PEER, now: float = 0.0) -> list[str]:
    return told(desk.receive((packet or Request(NAME)).serialise(), source, now))


def test_a_file_is_fetched_and_sent() -> None:
    desk = Desk()
    assert ask(desk) == [f"fetch 1 {NAME}"]
    assert told(desk.ready(1, b"content", 0.5)) == ["open 1", "1: DATA 1 7"]
    assert told(desk.datagram(1, Ack(1).serialise(), PEER, 0.6)) == ["close 1 completed 7"]
    assert (len(desk), desk.deadline) == (0, None)


def test_a_file_that_is_not_there_and_one_that_has_no_name_are_answered_alike() -> None:
    desk = Desk()
    ask(desk)
    out = desk.missing(1)
    assert told(out) == ["answer ERROR 1", "close 1 not-found 0"]
    forbidden = desk.receive(Request("../etc/passwd").serialise(), PEER, 0.0)
    assert isinstance(out[0], Answer)
    assert isinstance(forbidden[0], Answer)
    assert out[0].data == forbidden[0].data


def test_writing_and_text_modes_are_refused() -> None:
    assert ask(Desk(), Request(NAME, write=True)) == ["answer ERROR 2"]
    assert ask(Desk(), Request(NAME, "netascii")) == ["answer ERROR 0"]


def test_what_is_no_request_is_dropped() -> None:
    assert ask(Desk(), Ack(1)) == []
    assert Desk().receive(b"\0\1", PEER, 0.0) == []


def test_a_phone_that_repeats_itself_has_one_transfer() -> None:
    desk = Desk()
    ask(desk)
    assert ask(desk, now=1.0) == []
    desk.ready(1, b"content", 1.5)
    assert ask(desk, now=2.0) == ["1: DATA 1 7"]
    assert len(desk) == 1


def test_a_phone_that_asks_for_something_else_gives_up_the_first() -> None:
    desk = Desk()
    ask(desk)
    assert ask(desk, Request("CTLFile.tlv")) == ["close 1 replaced 0", "fetch 2 CTLFile.tlv"]
    assert desk.ready(1, b"late", 0.0) == []
    assert desk.missing(1) == []
    assert desk.datagram(1, Ack(1).serialise(), PEER, 0.0) == []


def test_beyond_the_limit_requests_are_dropped_without_a_word() -> None:
    desk = Desk(most=1)
    ask(desk)
    assert ask(desk, source=OTHER) == []
    assert (len(desk), desk.dropped) == (1, 1)
    assert ask(desk) == []  # the one that is in stays in
    desk.missing(1)
    assert ask(desk, source=OTHER) == [f"fetch 2 {NAME}"]
    assert ask(Desk(most=0)) == []


def test_a_session_ends_in_time_whoever_is_slow() -> None:
    desk = Desk(pace=Pace(session=60.0))
    ask(desk)
    ask(desk, source=OTHER, now=5.0)
    desk.ready(2, b"content", 6.0)
    assert desk.deadline == 16.0
    assert told(desk.timeout(16.0)) == ["close 2 no-answer 0"]
    assert desk.deadline == 60.0
    assert desk.timeout(59.9) == []
    assert told(desk.timeout(60.0)) == ["close 1 session-timeout 0"]
    assert len(desk) == 0


def test_a_forged_request_costs_one_block() -> None:
    """No timer of ours sends anything to an address that has not answered."""
    desk = Desk()
    ask(desk)
    out = desk.ready(1, bytes(100_000), 0.0)
    while desk.deadline is not None:
        out += desk.timeout(desk.deadline)
    assert sum(len(effect.data) for effect in out if isinstance(effect, Transmit)) == 516


def test_forged_requests_of_one_network_share_a_budget() -> None:
    """10 000 requests in a second from a /24 bring out no more than 100 kB at once, and as much again in it."""
    desk = Desk(most=100_000)
    octets = 0
    for number in range(10_000):
        now, source = number / 10_000, (f"192.0.2.{number % 256}", 1024 + number)
        for effect in desk.receive(Request(NAME).serialise(), source, now):
            assert isinstance(effect, FetchFile)
            out = desk.ready(effect.ticket, bytes(2000), now)
            octets += sum(len(one.data) for one in out if isinstance(one, Transmit))
    assert 190_000 < octets < 200_000
    assert desk.dropped > 9_000
    assert ask(desk, source=("192.0.3.1", 1), now=1.0) != []


def test_phones_that_answer_cost_nothing() -> None:
    """A thousand phones behind one address, all at once."""
    desk = Desk(most=1000)
    for number in range(1, 1001):
        peer = ("192.0.2.1", 1024 + number)
        assert ask(desk, source=peer) == [f"fetch {number} {NAME}"]
        desk.ready(number, b"x", 0.0)
        assert told(desk.datagram(number, Ack(1).serialise(), peer, 0.0)) == [f"close {number} completed 1"]
    assert desk.dropped == 0


def test_refusals_are_paid_for_too() -> None:
    desk = Desk()
    answers = [ask(desk, Request("x"), ("192.0.2.9", port)) for port in range(1, 1000)]
    assert sum(map(len, answers)) == 193


def test_a_budget_holds_few_networks() -> None:
    budget = Budget(rate=100, most=3)
    for number in range(10):
        assert budget.spend(f"10.0.{number}.1", 60, 0.0)
    assert not budget.spend("10.0.9.200", 60, 0.0)
    assert budget.spend("10.0.9.200", 60, 0.5)
    assert budget.spend("10.0.0.1", 60, 0.5)  # forgotten
    budget.refund("10.0.77.1", 60, 0.5)  # never known
    assert network_of("2001:db8::1%eth0") == "2001:db8::/64"
    assert network_of("phone.example") == "phone.example"


requests = st.sampled_from([Request(NAME), Request("CTLFile.tlv"), Request("x"), Request(NAME, write=True)])
steps = st.one_of(
    st.tuples(st.just("ask"), requests, st.integers(1, 4)),
    st.tuples(st.just("ready"), st.integers(1, 6), st.integers(0, 600)),
    st.tuples(st.just("missing"), st.integers(1, 6), st.just(0)),
    st.tuples(st.just("ack"), st.integers(1, 6), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.integers(0, 30), st.just(0)),
)


@given(st.lists(steps, max_size=40))
@settings(max_examples=100, deadline=None)
def test_every_session_that_was_opened_is_closed_once(script: list[tuple[str, object, int]]) -> None:
    desk, now, out = Desk(most=3), 0.0, list[DeskEffect]()
    peers: dict[int, Address] = {}
    for action, first, second in script:
        if isinstance(first, Request):
            out += desk.receive(first.serialise(), ("127.0.10.9", second), now)
        elif isinstance(first, int):
            match action:
                case "ready":
                    out += desk.ready(first, bytes(second), now)
                case "missing":
                    out += desk.missing(first)
                case "ack":
                    out += desk.datagram(first, Ack(second).serialise(), peers.get(first, PEER), now)
                case _:
                    now += first
                    out += desk.timeout(now)
        peers |= {effect.ticket: effect.peer for effect in out if isinstance(effect, FetchFile)}
        assert len(desk) <= 3
    while desk.deadline is not None:
        out += desk.timeout(desk.deadline)
    fetched = [effect.ticket for effect in out if isinstance(effect, FetchFile)]
    closed = sorted(effect.ticket for effect in out if isinstance(effect, CloseTransfer))
    assert closed == fetched
