"""What holds the rest of the turnstile."""

from __future__ import annotations

from tests.mutation.toy import Do, Turn, run


def test_a_push_pays_nothing() -> None:
    assert run(Do.PUSH) == (Turn.LOCKED, [])
    assert run(Do.COIN, Do.PUSH, Do.COIN) == (Turn.OPEN, ["coin", "coin"])
