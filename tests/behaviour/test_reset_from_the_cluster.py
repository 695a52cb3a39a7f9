"""A cluster's reset (NOTIFY, service-control) reaches a phone outside, which knows its own registration in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.behaviour.stage import Stage


@pytest.mark.parametrize("action", ["reset", "restart"])
def test_a_phone_outside_obeys_its_cluster(tmp_path: Path, action: str) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            assert await stage.cucm.control("1001", action) == 200
            async with asyncio.timeout(10):
                assert await stage.phones["1001"].controls.get() == action
            assert stage.phones["1002"].controls.empty()

    asyncio.run(scene())
