"""Plain UDP sockets, for file transfers: TFTP needs no news from the kernel but datagrams."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from cubeproxy.protocols.values import Address

BATCH = 64  # datagrams read in one go
LARGEST = 65_535


def udp_socket(address: Address) -> socket.socket:
    """Bound, not blocking. OSError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def datagrams(sock: socket.socket) -> Iterator[tuple[bytes, Address]]:
    """What waits at a socket, up to a batch; ends when the socket is closed meanwhile."""
    for _ in range(BATCH):
        if sock.fileno() < 0:
            return
        try:
            data, source = sock.recvfrom(LARGEST)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # an ICMP error about an earlier datagram: the alarms decide
            continue
        yield data, (source[0], source[1])


def send(sock: socket.socket | None, data: bytes, to: Address) -> None:
    """What cannot be sent is as lost on the way."""
    if sock is None or sock.fileno() < 0:
        return
    try:
        sock.sendto(data, to)
    except OSError:
        return
