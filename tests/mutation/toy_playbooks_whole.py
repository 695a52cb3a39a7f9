"""What holds the rest of the turnstile, in the other forms that a test may have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mutation.toy import Do, Turn, run

CLOSED: list[str] = []


@pytest.fixture
def inputs() -> Iterator[tuple[Do, ...]]:
    yield (Do.COIN, Do.PUSH, Do.COIN)
    CLOSED.append("inputs")


@pytest.mark.parametrize("push", [Do.PUSH, pytest.param(Do.PUSH, id="again")])
class TestTurnstile:
    @pytest.fixture
    def paid(self, inputs: tuple[Do, ...]) -> list[str]:
        return run(*inputs)[1]

    def test_a_push_pays_nothing(self, push: Do) -> None:
        assert run(push) == (Turn.LOCKED, [])

    def test_only_coins_are_counted(self, paid: list[str], inputs: tuple[Do, ...], push: Do) -> None:
        assert paid == ["coin"] * (len(inputs) - [push, *inputs].count(Do.PUSH) + 1)
