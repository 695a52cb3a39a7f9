"""Connections that we open: what waits for one, and how it is dialled."""

from __future__ import annotations

import asyncio
import socket

from cubeproxy.protocols.values import Target
from cubeproxy.transport.connection import StreamConnection

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen at connect, so that one may serve several targets


class Outgoing:
    """The way to one target: a connection that is open, or the octets that wait for it."""

    __slots__ = ("_limit", "_queue", "_size", "connection", "target", "task")

    def __init__(self, target: Target, limit: int) -> None:
        self.target = target
        self.connection: StreamConnection | None = None
        self.task: asyncio.Task[None] | None = None
        self._limit = limit  # octets
        self._queue: list[bytes] = []
        self._size = 0

    def put(self, data: bytes) -> bool:
        """Keep it until the connection is open; False when too much waits already."""
        if self._size + len(data) > self._limit:
            return False
        self._queue.append(data)
        self._size += len(data)
        return True

    def take(self) -> list[bytes]:
        queue, self._queue = self._queue, []
        self._size = 0
        return queue

    def cancel(self) -> None:
        if self.connection is None and self.task is not None:
            self.task.cancel()


async def dial(loop: asyncio.AbstractEventLoop, target: Target, patience: float) -> socket.socket:
    """A connected socket, from the target's local host. OSError or TimeoutError (after `patience` seconds)."""
    v6 = ":" in target.host
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if target.local[0]:
            if not v6:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((target.local[0], 0))
        async with asyncio.timeout(patience):
            await loop.sock_connect(sock, (target.host, target.port))
    except BaseException:
        sock.close()
        raise
    return sock
