"""Loopback addresses that no other test, and no other test run on this machine, uses at the same time.

The whole of 127.0.0.0/8 is local on Linux without any set-up, so that every program gets an address of its own and
fixed ports never clash.
"""

from __future__ import annotations

import itertools
import os

NETS = 16  # /24 nets of one test run


class Addresses:
    """Hands out 127.x.y.z: x and the upper part of y from the process, the rest counts up."""

    def __init__(self) -> None:
        process = os.getpid()
        self._first, self._second = 64 + process % 127, process // 127 % (256 // NETS) * NETS
        self._next = itertools.count(0)

    def take(self) -> str:
        net, host = divmod(next(self._next), 250)
        assert net < NETS, "more addresses than one test run should need"
        return f"127.{self._first}.{self._second + net}.{host + 2}"

    def take_many(self, count: int) -> list[str]:
        return [self.take() for _ in range(count)]


ADDRESSES = Addresses()  # of this test run
