"""One TFTP transfer on asyncio: a machine of `protocols.tftp`, with a socket of its own and a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cubeproxy.protocols.tftp import Send
from cubeproxy.protocols.tftp.transfer import Effect, Transfer
from cubeproxy.protocols.values import Address
from cubeproxy.transport.datagrams import datagrams, send, udp_socket


class TftpTransfer:
    """`carry` what the machine's `start` gives. `tell` hears how it went, once; the socket stays a while after that,
    to repeat the last ACK, and `closed` hears when it is gone. OSError when there is no socket at `address`."""

    def __init__(
        self, machine: Transfer, address: Address, tell: Callable[[Effect], None], closed: Callable[[], None]
    ) -> None:
        self.machine = machine
        self._tell = tell
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sock = udp_socket(address)
        self.local: Address = self._sock.getsockname()[:2]
        self._loop.add_reader(self._sock.fileno(), self._readable)

    def carry(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                send(self._sock, effect.data, effect.to)
            else:
                self._tell(effect)
        deadline = self.machine.deadline
        if deadline is None:
            self.close()
        elif self._timer is None or self._timer.when() > deadline:  # one that rings early is set anew
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._ring)

    def close(self) -> None:
        """Let go of the socket; twice is once."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._closed()

    def _readable(self) -> None:
        for data, source in datagrams(self._sock):
            self.carry(self.machine.receive(data, source, self._loop.time()))

    def _ring(self) -> None:
        self._timer = None
        self.carry(self.machine.timeout(self._loop.time()))
