"""Loopback addresses that no other test, and no other test run on this machine, uses at the same time.

The whole of 127.0.0.0/8 is local on Linux without any set-up, so that every program gets an address of its own and
fixed ports never clash.
"""

from __future__ import annotations

import itertools
import os


class Addresses:
    """Hands out 127.x.y.z with x.y from the process, z counting up."""

    def __init__(self) -> None:
        process = os.getpid()
        self._net = f"127.{64 + process % 127}.{process // 127 % 250}"
        self._next = itertools.count(2)

    def take(self) -> str:
        number = next(self._next)
        assert number < 255, "more addresses than one test run should need"
        return f"{self._net}.{number}"
