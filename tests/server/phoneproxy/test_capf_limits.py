"""The CAPF relay waits for the slowest phone and still lets nobody take every slot."""

from __future__ import annotations

from cubeproxy.server.phoneproxy.service import CAPF_LIMITS

KEY_GENERATION = 1800.0  # s, what the oldest phones need for their key


def test_a_phone_that_makes_its_key_is_not_cut_off() -> None:
    assert CAPF_LIMITS.idle > KEY_GENERATION
    assert CAPF_LIMITS.duration > CAPF_LIMITS.idle


def test_one_address_holds_a_small_part_of_the_slots() -> None:
    assert CAPF_LIMITS.per_address * 16 <= CAPF_LIMITS.total
    assert 0 < CAPF_LIMITS.octets <= 1 << 20
