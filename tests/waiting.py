"""Waiting for a condition that sets no event: another process, a log, the inside of a machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 10.0  # s
POLL = 0.01  # s, between two looks


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """TimeoutError when it does not hold within `patience` seconds."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(POLL)
