"""A cubeproxy media worker driven as signalling drives it, by the octets of the seam.

Written from its description, not with the product's code: the load generator uses nothing of the engine under test.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Sequence

from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address

SLOT = 8 * 56  # octets of counters a session
SUITES = tuple(Suite)
REPORTS = 5000  # ms between the RTCP reports of a leg: it is terminated, as signalling asks with `rtcp: terminate`
PRESENT, SENDS, RECEIVES, SEND_KEY, RECEIVE_KEY, REMOTE = 1, 2, 4, 16, 32, 64


class Worker:
    """A worker process and our end of its seam."""

    def __init__(self, command: Sequence[str], sessions: int) -> None:
        self._seam, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._seam.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno())], pass_fds=(theirs.fileno(),), start_new_session=True
            )
        memory = os.memfd_create("counters")
        os.ftruncate(memory, sessions * SLOT)
        self._seam.settimeout(10)
        self._seam.recv(4096)  # it is ready
        socket.send_fds(self._seam, [struct.pack("!BBII", 1, 1, 3_600_000, 3_600_000)], [memory])
        os.close(memory)
        self._seam.send(struct.pack("!BBI", 1, 7, REPORTS))

    def open(self, session: int, slot: int, sockets: Sequence[socket.socket]) -> None:
        message = struct.pack("!BBQIHH", 1, 2, session, slot, socket.AF_INET, socket.AF_INET)
        socket.send_fds(self._seam, [message], [sock.fileno() for sock in sockets])
        for sock in sockets:
            sock.close()

    def update(self, session: int, *legs: tuple[Address, MasterKey | None, MasterKey | None]) -> None:
        """Each leg: where to send, the key that protects, the key that verifies."""
        self._seam.send(struct.pack("!BBQ", 1, 3, session) + b"".join(_leg(*leg) for leg in legs))

    def barrier(self) -> None:
        """Wait until all commands were obeyed."""
        self._seam.send(struct.pack("!BBI", 1, 5, 7))
        while self._seam.recv(4096)[1] != 16:
            pass

    def close(self) -> None:
        self._seam.send(struct.pack("!BB", 1, 6))
        self._seam.close()
        self.process.wait(10)


def _leg(remote: Address, send: MasterKey | None, receive: MasterKey | None) -> bytes:
    flags = PRESENT | SENDS | RECEIVES | REMOTE
    flags |= (SEND_KEY if send else 0) | (RECEIVE_KEY if receive else 0)
    host, port = remote
    head = struct.pack("!HBBHIB", flags, 0, 0, 20, 8000, 1) + b"\x04pcmu"
    head += bytes((len(host),)) + host.encode() + port.to_bytes(2, "big")
    return head + b"".join(_key(key) for key in (send, receive) if key)


def _key(key: MasterKey) -> bytes:
    return struct.pack("!BBQ", SUITES.index(key.suite), 0, 0) + key.master
