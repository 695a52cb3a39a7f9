"""Every test that needs a loop runs on asyncio's and on uvloop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine to its end on the loop of this test's turn. Nothing may be left in the exception handler."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    def runner(work: Coroutine[Any, Any, None]) -> None:
        problems: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.get_loop().set_exception_handler(lambda _, context: problems.append(context))
            loop.run(work)
        expected = [each for each in problems if "internal error on a message" not in str(each.get("message"))]
        assert not expected, expected

    return runner
