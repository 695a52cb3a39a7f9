"""A peer's rollover counter that nobody tells: after a change of key, and in a stream that we join late.

Both legs of a relay are held to it, for either may be the secure one.
"""

from __future__ import annotations

import pytest

from cubeproxy.media.counters import AUTH_FAILURES, INDEX_IN, REPLAYS
from cubeproxy.media.leg import OVERLAP
from cubeproxy.media.search import JOINED, PAUSE, SEARCHES

from .phones import Line, Phone, key

TWICE = 2 * 65_536
LEGS = pytest.mark.parametrize("leg", [0, 1], ids=["access", "core"])


def both_secure() -> Line:
    return Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), key(3), key(4)))


def renew(line: Line, leg: int, ours: int = 5, theirs: int = 6, **changes: object) -> Phone:
    """A re-INVITE with new keys on one leg."""
    phone = line.phones[leg]
    phone.use(key(ours), key(theirs))
    specs = [each.spec() for each in line.phones]
    specs[leg] = phone.spec(**changes)
    line.negotiate(specs[0], specs[1])
    return phone


def wind(phone: Phone, packets: int) -> list[bytes]:
    """What a phone says, up to so many packets on, in steps that every index estimate follows."""
    said = []
    while packets > 0:
        said.append(phone.say(step=min(packets, 0x4000)))
        packets -= 0x4000
    return said


def joined(leg: int, before: int) -> Line:
    """We join a stream of which others carried the first `before` packets."""
    line = both_secure()
    wind(line.phones[leg], before)
    specs = [phone.spec(joins=number == leg) for number, phone in enumerate(line.phones)]
    line.negotiate(None, None)
    line.negotiate(specs[0], specs[1])
    return line


@LEGS
@pytest.mark.parametrize("wraps", [0, 1, 2, 5])
def test_a_new_key_under_which_the_counter_was_kept(leg: int, wraps: int) -> None:
    """RFC 3711 3.3.1: a new master key does not reset the rollover counter."""
    line = both_secure()
    for datagram in wind(line.phones[leg], wraps * 65_536):
        line.pass_on(leg, datagram)
    line.talk(leg, 3)
    phone = line.phones[leg]
    sequence = phone.sequence
    renew(line, leg)
    wind(phone, wraps * 65_536)
    phone.sequence = sequence
    assert line.talk(leg, 3)
    assert line.words(leg, INDEX_IN) >> 16 == wraps
    assert line.words(leg, AUTH_FAILURES) == 0


@LEGS
def test_a_new_key_under_which_it_began_anew(leg: int) -> None:
    """RFC 4568 7.1.4, and most libraries."""
    line = both_secure()
    for datagram in wind(line.phones[leg], TWICE):
        line.pass_on(leg, datagram)
    line.talk(leg, 3)
    renew(line, leg)
    assert line.talk(leg, 3)
    assert line.words(leg, INDEX_IN) >> 16 == 0


@LEGS
def test_a_counter_that_was_kept_over_a_wrap_at_that_moment(leg: int) -> None:
    line = both_secure()
    phone = line.phones[leg]
    for datagram in wind(phone, 65_536 + 65_000):
        line.pass_on(leg, datagram)
    line.talk(leg, 2)
    phone.use(key(5), key(6))
    wind(phone, TWICE)
    wind(phone, 1_000)
    specs = [each.spec() for each in line.phones]
    line.negotiate(specs[0], specs[1])
    assert line.talk(leg, 3)
    assert line.words(leg, INDEX_IN) >> 16 == 2


@LEGS
def test_once_it_is_found_nothing_else_is_tried(leg: int) -> None:
    """What an eavesdropper kept of the key's own stream cannot move it."""
    line = both_secure()
    for datagram in wind(line.phones[leg], TWICE):
        line.pass_on(leg, datagram)
    phone = renew(line, leg)
    line.talk(leg, 3)
    ahead = wind(phone, TWICE)
    line.now += 1
    assert line.pass_on(leg, ahead[-1]) is None


@LEGS
@pytest.mark.parametrize("wraps", [1, 2, JOINED - 1])
def test_a_stream_that_is_joined_late_is_heard_from_its_first_packet(leg: int, wraps: int) -> None:
    line = joined(leg, wraps * 65_536)
    assert line.talk(leg, 5)
    assert line.words(leg, INDEX_IN) >> 16 == wraps
    assert line.words(leg, AUTH_FAILURES) == 0


@LEGS
def test_it_is_not_looked_for_where_nobody_says_so(leg: int) -> None:
    line = joined(leg, TWICE)
    specs = [phone.spec() for phone in line.phones]
    line.negotiate(None, None)
    line.negotiate(specs[0], specs[1])
    line.now += 10
    assert line.pass_on(leg, line.phones[leg].say()) is None
    assert line.words(leg, AUTH_FAILURES) == 1


@LEGS
def test_nor_without_end(leg: int) -> None:
    line = joined(leg, (JOINED + 1) * 65_536)
    assert line.pass_on(leg, line.phones[leg].say()) is None


@LEGS
def test_packets_overtaken_and_repeated_while_it_is_found(leg: int) -> None:
    line = joined(leg, TWICE)
    said = [line.phones[leg].say(bytes((number,)) * 160) for number in range(6)]
    heard = [line.carry(leg, said[number]) for number in (2, 1, 3, 3, 0, 5, 4)]
    assert [each.payload[0] if each else None for each in heard] == [2, 1, 3, None, 0, 5, 4]


@LEGS
def test_a_packet_of_the_past_played_first_keeps_nobody_out(leg: int) -> None:
    """An eavesdropper has packets from before the wraps: they verify, at their own rollover."""
    line = both_secure()
    past = line.phones[leg].say()
    wind(line.phones[leg], TWICE)
    specs = [phone.spec(joins=number == leg) for number, phone in enumerate(line.phones)]
    line.negotiate(None, None)
    line.negotiate(specs[0], specs[1])
    assert line.pass_on(leg, past)
    assert line.pass_on(leg, line.phones[leg].say())
    assert line.words(leg, INDEX_IN) >> 16 == 2
    line.now += PAUSE
    assert line.pass_on(leg, past) is None
    line.phones[leg].say()
    line.now += 1
    heard = [line.carry(leg, line.phones[leg].say()) for _ in range(5)]
    assert None not in heard[1:], "its numbers begin anew for the other side at the second packet"


@LEGS
def test_garbage_moves_nothing_and_costs_no_search(leg: int) -> None:
    line = joined(leg, TWICE)
    forged = bytearray(line.phones[leg].say())
    forged[-1] ^= 1
    for _ in range(SEARCHES + 10):
        assert line.pass_on(leg, bytes(forged), ("127.0.9.9", 6666)) is None
    assert line.talk(leg, 3)


@LEGS
def test_a_search_is_bounded_in_time_and_in_all(leg: int) -> None:
    """From the right address too: a search each 20 ms, and no more than a minute of them."""
    line = joined(leg, TWICE)
    forged = bytearray(line.phones[leg].say())
    forged[-1] ^= 1
    assert line.pass_on(leg, bytes(forged)) is None
    line.now -= 0.02
    assert line.pass_on(leg, line.phones[leg].say()) is None, "in the same 20 ms"
    for _ in range(SEARCHES):
        line.now += PAUSE
        line.pass_on(leg, bytes(forged))
    line.now += 1
    assert line.pass_on(leg, line.phones[leg].say()) is None


@LEGS
def test_another_source_under_the_key_is_found_too(leg: int) -> None:
    """A transfer: the peer's SSRC changes, and we had joined late."""
    line = joined(leg, TWICE)
    line.talk(leg, 3)
    phone = line.phones[leg]
    phone.ssrc += 1
    assert line.talk(leg, 3), "a new source begins at 0"
    phone.ssrc += 1
    wind(phone, 65_536)
    assert line.talk(leg, 3)
    assert line.words(leg, REPLAYS) == 0


@LEGS
@pytest.mark.parametrize("between", ["nothing", "another key"])
def test_a_key_that_comes_back_soon_finds_its_context(leg: int, between: str) -> None:
    """A farm's channel is closed and opened again: counter and replay window go on. Later the key begins anew."""
    line = both_secure()
    phone = line.phones[leg]
    for datagram in wind(phone, TWICE):
        line.pass_on(leg, datagram)
    line.talk(leg, 3)
    old = phone.say()
    assert line.carry(leg, old)
    specs = [each.spec() for each in line.phones]
    others = [each.spec(receive_key=key(9)) for each in line.phones]
    for pause, heard in ((0.5, True), (OVERLAP + 1, False)):
        if between == "nothing":
            line.negotiate(None, None)
        else:
            line.negotiate(others[0], others[1])
        line.now += pause
        line.negotiate(specs[0], specs[1])
        assert line.pass_on(leg, old) is None
        if heard:
            assert line.talk(leg, 3)
            assert line.words(leg, INDEX_IN) >> 16 == 2
