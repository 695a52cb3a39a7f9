"""How a row of the suite is written: `@needs(Capability.X)` where it is optional, and `@row` for a coroutine."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from cubeproxy.media.transcoders.words import Capability

Row = Callable[..., Coroutine[Any, Any, None]]


def row(test: Row) -> Callable[..., None]:
    """A coroutine as a test, in a loop of its own."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def needs(*capabilities: Capability) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The row runs with every member that declares all of these."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        test.needs = frozenset(capabilities)  # type: ignore[attr-defined]
        return test

    return mark


def needed(test: Callable[..., None]) -> frozenset[Capability]:
    found: frozenset[Capability] = getattr(test, "needs", frozenset())
    return found
