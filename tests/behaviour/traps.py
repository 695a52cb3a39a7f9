"""Places that nobody may be sent to: TCP and UDP sockets that note who comes."""

from __future__ import annotations

import contextlib
import select
import socket
from types import TracebackType
from typing import Self

PORTS = (5060, 5061, 80, 8080, 9999)


class Traps:
    """`with Traps(host, ...)`: `caught()` names every socket that got a connection or a datagram."""

    def __init__(self, *hosts: str, ports: tuple[int, ...] = PORTS) -> None:
        self._socks: list[socket.socket] = []
        for host in hosts:
            for port in ports:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    sock = socket.socket(socket.AF_INET, kind)
                    with contextlib.suppress(PermissionError):
                        sock.bind((host, port))
                    if kind == socket.SOCK_STREAM:
                        sock.listen()
                    self._socks.append(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in self._socks:
            sock.close()

    def caught(self, patience: float = 0.3) -> list[str]:
        ready, _, _ = select.select(self._socks, [], [], patience)
        return [f"{sock.type.name} {sock.getsockname()}" for sock in ready]
