"""Codecs are libraries of Debian: where one is not installed, its tests skip and say so (with CI set, they fail)."""

from __future__ import annotations

import pytest

from cubeproxy.media.codecs import table

from .ends import NAMES


def missing() -> str:
    """What is not installed of that which these tests take; "" when all is there."""
    usable = table.usable()
    return "; ".join(dict.fromkeys(usable[name] for name in NAMES if usable[name]))


@pytest.fixture(autouse=True)
def codecs() -> None:
    if why := missing():
        pytest.skip(why)
