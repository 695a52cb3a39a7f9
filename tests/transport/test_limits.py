"""Token buckets and deadline queues, on a clock that the test moves."""

from __future__ import annotations

from cubeproxy.transport.deadlines import Aging, Idle
from cubeproxy.transport.limits import Bucket


def test_a_bucket_gives_its_burst_and_then_says_how_long_to_wait() -> None:
    bucket = Bucket(rate=10, burst=3, now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(1, 0.0) == 0.1
    assert bucket.take(1, 0.0) == 0.2  # debt grows, nothing is refused
    assert bucket.take(1, 0.3) == 0.0  # three tokens came back, three were owed or taken


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = Bucket(rate=10, burst=2, now=0.0)
    assert bucket.take(2, 1000.0) == 0.0
    assert bucket.take(1, 1000.0) > 0


def test_a_bucket_without_rate_is_no_limit() -> None:
    bucket = Bucket(rate=0, burst=0, now=0.0)
    assert bucket.take(10**9, 0.0) == 0.0
    assert not bucket.empty(0.0)


def test_aging_expires_in_order_and_is_not_prolonged() -> None:
    aging: Aging[str] = Aging(5.0)
    aging.start("a", 0.0)
    aging.start("b", 1.0)
    aging.start("a", 4.0)  # still runs since 0.0
    aging.start("c", 4.0)
    aging.stop("b")
    assert aging.deadline == 5.0
    assert aging.expired(4.9) == []
    assert aging.expired(5.0) == ["a"]
    assert aging.expired(9.0) == ["c"]
    assert aging.deadline is None
    assert len(aging) == 0


def test_idle_looks_again_one_period_after_the_last_use() -> None:
    used = {"a": 0.0, "b": 0.0}
    idle: Idle[str] = Idle(10.0, used.__getitem__)
    idle.start("a", 0.0)
    idle.start("b", 0.0)
    used["a"] = 7.0
    assert idle.expired(10.0) == ["b"]
    assert idle.expired(16.9) == []
    assert idle.expired(17.0) == ["a"]
    assert len(idle) == 0


def test_idle_forgets_what_is_stopped() -> None:
    idle: Idle[str] = Idle(10.0, lambda _: 0.0)
    idle.start("a", 0.0)
    idle.stop("a")
    assert idle.expired(100.0) == []
