"""From whom a leg accepts, and what it may learn from it (RTP Bleed and its relatives)."""

from __future__ import annotations

from cubeproxy.media.counters import AUTH_FAILURES, MALFORMED, RECEIVED, STRANGERS

from .phones import clear_line, key, outbound, secure_line

ATTACKER = ("127.0.9.9", 6666)
MOVED = ("127.0.0.1", 4999)


def heading(leg: int, line: object) -> object:
    """Where the session sends what the other leg says."""
    out = line.pass_on(1 - leg, line.phones[1 - leg].say())  # type: ignore[attr-defined]
    return out[1] if out else None


def test_a_clear_leg_accepts_the_signalled_address_only() -> None:
    line = clear_line()
    for stranger in (ATTACKER, ("127.0.0.2", 5001), ("127.0.0.3", 5000)):
        assert line.pass_on(1, line.phones[1].say(), stranger) is None
    assert line.words(1, STRANGERS) == 3
    assert heading(1, line) == line.phones[1].address


def test_first_packet_wins_nothing_on_a_clear_leg() -> None:
    line = clear_line()
    assert line.pass_on(1, line.phones[1].say(), ATTACKER) is None
    assert line.talk(1)
    assert heading(1, line) == line.phones[1].address


def test_a_secure_leg_follows_verified_packets_to_where_they_come_from() -> None:
    line = secure_line()
    assert heading(0, line) == line.phones[0].address
    assert line.pass_on(0, line.phones[0].say(), MOVED)
    assert heading(0, line) == MOVED


def test_a_phone_that_rebinds_under_attack_loses_nothing() -> None:
    """F6: unauthenticated packets at the same time teach nothing."""
    line = secure_line()
    line.talk(0, 5)
    forger = outbound(key(66))
    for number in range(50):
        forged = forger.protect(b"\x80\x00" + (300 + number).to_bytes(2, "big") + bytes(8) + b"x" * 160)
        assert line.pass_on(0, forged, ATTACKER) is None
        assert line.pass_on(0, line.phones[0].say(), MOVED if number > 20 else None)
        assert heading(0, line) == (MOVED if number > 20 else line.phones[0].address)
    assert line.words(0, AUTH_FAILURES) == 50


def test_clear_packets_teach_a_secure_leg_nothing() -> None:
    line = secure_line()
    line.talk(0)
    clear = b"\x80\x00\x00\x70" + bytes(8) + b"x" * 160
    assert line.pass_on(0, clear, ATTACKER) is None
    assert heading(0, line) == line.phones[0].address


def test_a_replayed_packet_teaches_nothing() -> None:
    line = secure_line()
    recorded = line.phones[0].say()
    line.carry(0, recorded)
    assert line.pass_on(0, recorded, ATTACKER) is None
    assert heading(0, line) == line.phones[0].address


def test_a_verified_packet_that_was_overtaken_teaches_nothing() -> None:
    """Held back on the old path and arriving after the rebind, it must not lead us back."""
    line = secure_line()
    line.talk(0)
    late = line.phones[0].say()
    assert line.pass_on(0, line.phones[0].say(), MOVED)
    assert line.pass_on(0, late), "it is sound all the same"
    assert heading(0, line) == MOVED


def test_a_newly_signalled_address_counts_over_a_learned_one() -> None:
    line = secure_line()
    line.pass_on(0, line.phones[0].say(), MOVED)
    line.phones[0].address = ("127.0.0.1", 4100)
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert heading(0, line) == ("127.0.0.1", 4100)


def test_the_learned_address_stays_over_an_update_that_changes_something_else() -> None:
    line = secure_line()
    line.pass_on(0, line.phones[0].say(), MOVED)
    line.negotiate(line.phones[0].spec(receives=False), line.phones[1].spec())
    assert heading(0, line) == MOVED


class TestLatch:
    """`nat symmetric check-media-src`: a clear leg learns its source once for each signalled address."""

    def test_the_first_packet_of_the_session_sets_the_source(self) -> None:
        line = clear_line()
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(latch=True))
        assert line.pass_on(1, line.phones[1].say(), MOVED)
        assert heading(1, line) == MOVED
        assert line.pass_on(1, line.phones[1].say(), ATTACKER) is None
        assert heading(1, line) == MOVED

    def test_the_signalled_address_counts_as_that_source(self) -> None:
        line = clear_line()
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(latch=True))
        line.talk(1)
        assert line.pass_on(1, line.phones[1].say(), ATTACKER) is None

    def test_another_payload_type_sets_nothing(self) -> None:
        line = clear_line()
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(latch=True))
        assert line.pass_on(1, line.phones[1].say(payload_type=99), ATTACKER) is None
        assert heading(1, line) == line.phones[1].address

    def test_a_new_signalled_address_is_learned_anew(self) -> None:
        line = clear_line()
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(latch=True))
        line.pass_on(1, line.phones[1].say(), MOVED)
        line.negotiate(line.phones[0].spec(), line.phones[1].spec(latch=True, remote=("127.0.0.2", 5100)))
        assert heading(1, line) == ("127.0.0.2", 5100)
        assert line.pass_on(1, line.phones[1].say(), ("127.0.0.8", 1))


def test_a_leg_that_is_not_known_yet_accepts_nothing() -> None:
    line = clear_line()
    line.negotiate(line.phones[0].spec(), None)
    assert line.pass_on(1, line.phones[1].say(), line.phones[1].address) is None
    assert line.pass_on(0, line.phones[0].say()) is None
    assert line.words(0, RECEIVED) == 1
    assert line.words(1, STRANGERS) == 1


def test_a_secure_leg_without_an_address_finds_it_by_a_verified_packet() -> None:
    line = secure_line(remote=None)
    assert line.pass_on(1, line.phones[1].say()) is None
    assert line.pass_on(0, line.phones[0].say())
    assert line.talk(1)


def test_garbage_in_the_right_place_is_malformed() -> None:
    line = clear_line()
    assert line.pass_on(1, b"hello") is None
    assert line.words(1, MALFORMED) == 1
