"""A TFTP machine with its socket: the file comes, the last ACK is repeated for a while, nothing is left open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from cubeproxy.protocols.tftp import Completed, Failed, Pace, Received, Receiver, Request, Sender, parse_packet
from cubeproxy.protocols.tftp.options import PLAIN
from cubeproxy.protocols.tftp.transfer import Effect
from cubeproxy.transport.datagrams import udp_socket
from cubeproxy.transport.tftp import TftpTransfer
from tests.waiting import until

SERVER, CLIENT = "127.43.9.1", "127.43.9.2"
QUICK = Pace(first=0.05, last=0.1, tries=2, session=5.0)
FILE = bytes(range(256)) * 5  # two blocks and a half


class Heard:
    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(scene(), 20)

    asyncio.run(run())


def begin(server: socket.socket, machine: Receiver) -> tuple[TftpTransfer, Heard]:
    heard = Heard()
    transfer = TftpTransfer(machine, (CLIENT, 0), heard.effects.append, heard.close)
    transfer.carry(machine.start(asyncio.get_running_loop().time()))
    return transfer, heard


def receiver(server: socket.socket) -> Receiver:
    return Receiver("a.bin", server.getsockname(), PLAIN, QUICK)


def test_both_ends_of_a_transfer_and_their_ends() -> None:
    async def scene() -> None:
        with udp_socket((SERVER, 0)) as door:
            transfer, heard = begin(door, receiver(door))
            data, source = await asyncio.get_running_loop().sock_recvfrom(door, 1000)
            request = parse_packet(data)
            assert isinstance(request, Request)
            assert source == transfer.local
            machine, served = Sender(FILE, request, source, QUICK), Heard()
            sending = TftpTransfer(machine, (SERVER, 0), served.effects.append, served.close)
            sending.carry(machine.start(asyncio.get_running_loop().time()))
            await until(lambda: heard.effects and served.effects)
            (received,), (completed,) = heard.effects, served.effects
            assert isinstance(received, Received)
            assert received.content == FILE
            assert isinstance(completed, Completed)
            await until(lambda: heard.closed and served.closed)
            transfer.close()
            assert (heard.closed, served.closed) == (1, 1)

    play(scene)


def test_nobody_there_is_a_failure_after_every_try() -> None:
    async def scene() -> None:
        with udp_socket((SERVER, 0)) as door:
            _, heard = begin(door, receiver(door))
            await until(lambda: heard.closed)
            (failed,) = heard.effects
            assert isinstance(failed, Failed)
            asked = 0
            while True:
                try:
                    asked += bool(door.recv(1000))
                except BlockingIOError:
                    break
            assert asked == 1 + QUICK.tries

    play(scene)


def test_one_that_is_closed_says_nothing_more() -> None:
    async def scene() -> None:
        with udp_socket((SERVER, 0)) as door:
            transfer, heard = begin(door, receiver(door))
            transfer.close()
            transfer.close()
            assert (heard.effects, heard.closed) == ([], 1)
            with pytest.raises(OSError, match=r"Address already in use|in use"):
                TftpTransfer(receiver(door), door.getsockname(), heard.effects.append, heard.close)

    play(scene)
