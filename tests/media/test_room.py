"""How many calls fit, and that the arithmetic is the pool's own."""

from __future__ import annotations

import pytest

from cubeproxy.media.pool import MediaPool
from cubeproxy.media.ports import PortPool
from cubeproxy.media.room import room, slots
from cubeproxy.protocols.values import MediaRefused, Need, ReserveMedia


@pytest.mark.parametrize(
    ("descriptors", "most", "fits"), [(None, 4096, 4096), (20_000, 4096, 4096), (1024, 4096, 248), (8, 4096, 1)]
)
def test_four_sockets_a_call(descriptors: int | None, most: int, fits: int) -> None:
    assert slots(descriptors, most) == fits


@pytest.mark.parametrize(
    ("access", "core", "by_ports"),
    [
        (["a"], ["b"], 10),
        (["a"], ["a"], 5),
        (["a", "b"], ["c"], 10),
        (["a", "b"], ["b", "c"], 15),
        (["a", "b"], ["c", "d"], 20),
        ([], ["c"], 0),
    ],
)
def test_a_call_takes_a_pair_of_either_side(access: list[str], core: list[str], by_ports: int) -> None:
    found = room(2, 100, 10, access, core)
    assert (found.by_workers, found.by_ports, found.calls) == (200, by_ports, by_ports)
    assert f"room for {by_ports} calls" in found.text


@pytest.mark.parametrize(("each", "last", "cause"), [(3, 65_535, "engine-full"), (100, 9, "no-ports")])
def test_exactly_as_many_are_taken_as_were_told(each: int, last: int, cause: str) -> None:
    """And the next one is a refusal, which the border answers with 503."""
    pool = MediaPool(PortPool(0, last))
    for worker in (1, 2):
        pool.joined(worker, each)
    told = room(2, each, pool.ports.pairs, ["127.0.0.1"], ["127.0.0.2"]).calls
    for ticket in range(told):
        assert not isinstance(pool.receive(_ask(ticket), 0)[0], MediaRefused)
    (refused,) = pool.receive(_ask(told), 0)
    assert isinstance(refused, MediaRefused)
    assert refused.cause == cause


def _ask(ticket: int) -> ReserveMedia:
    return ReserveMedia(ticket, "call", ("127.0.0.1", "127.0.0.2"), Need.CRYPTO)
