"""Port pairs: even for RTP, the next for RTCP, and a rest before they are used again."""

from __future__ import annotations

import pytest

from cubeproxy.media.ports import PortPool


def test_pairs_begin_on_even_ports_and_stay_in_the_range() -> None:
    pool = PortPool(16385, 16392)
    taken = [pool.take("127.0.0.1", 0) for _ in range(4)]
    assert taken == [16386, 16388, 16390, None]


@pytest.mark.parametrize(
    ("first", "last", "pairs"), [(100, 101, 1), (100, 100, 0), (101, 102, 0), (8000, 48198, 20_099)]
)
def test_the_number_of_pairs(first: int, last: int, pairs: int) -> None:
    assert PortPool(first, last).pairs == pairs
    pool = PortPool(first, last)
    assert sum(pool.take("a", 0) is not None for _ in range(pairs + 1)) == pairs


def test_a_pair_rests_before_it_is_used_again() -> None:
    pool = PortPool(100, 101, rest=10)
    pool.take("127.0.0.1", 0)
    pool.give("127.0.0.1", 100, 5)
    assert pool.take("127.0.0.1", 14.9) is None
    assert pool.take("127.0.0.1", 15) == 100
    assert pool.take("127.0.0.1", 99) is None


def test_unused_pairs_go_before_rested_ones() -> None:
    pool = PortPool(100, 105, rest=1)
    assert pool.take("127.0.0.1", 0) == 100
    pool.give("127.0.0.1", 100, 0)
    assert [pool.take("127.0.0.1", 50) for _ in range(3)] == [102, 104, 100]


def test_each_address_has_the_whole_range() -> None:
    pool = PortPool(100, 101)
    assert pool.take("127.0.0.1", 0) == pool.take("127.0.0.2", 0) == 100
