"""A CAPF session on a stream: slow keys, silence, and connections that end in the middle."""

from __future__ import annotations

import asyncio

from cubelab.provisioning.capf import carry
from cubeproxy.protocols.capf import Client, Command, Effect, Ended, Framer, Operation, Pace, Proof, Send, Server
from cubeproxy.protocols.capf.session import GenerateKey, Prove
from tests.lab.boot.stage import PHONE


class Wire:
    """What a machine writes, as messages; `on_message` hears each."""

    def __init__(self) -> None:
        self.commands: list[int] = []
        self.writes = 0
        self._framer = Framer()
        self._changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.commands += [found.command for found in self._framer.receive(data)]
        self._changed.set()

    async def drain(self) -> None:
        """Nothing is ever slow here."""

    async def has(self, command: Command, count: int) -> None:
        while self.commands.count(command) < count:
            self._changed.clear()
            await self._changed.wait()


def sent(effects: list[Effect]) -> bytes:
    return b"".join(effect.data for effect in effects if isinstance(effect, Send))


def requests() -> tuple[bytes, bytes]:
    """What a server sends to a phone: who are you, and then: make a key."""
    server, client = Server(1), Client(PHONE)
    greeting = sent(server.start(0.0))
    client.start(0.0)
    client.receive(greeting, 0.0)
    server.receive(sent(client.prove(Proof(), 0.0)), 0.0)
    return greeting, sent(server.decide(Operation.INSTALL, 0.0))


async def test_a_slow_key_is_reported_again_and_again() -> None:
    wire, reader = Wire(), asyncio.StreamReader()
    client = Client(PHONE, pace=Pace(progress=0.01))

    async def work(effect: Effect) -> list[Effect]:
        now = asyncio.get_running_loop().time()
        if isinstance(effect, Prove):
            reader.feed_data(key_request)
            return client.prove(Proof(), now)
        assert isinstance(effect, GenerateKey)
        await wire.has(Command.REQUEST_IN_PROGRESS, 4)  # the old phone is still counting
        reader.feed_eof()
        return client.key_made(b"a key", now)

    greeting, key_request = requests()
    reader.feed_data(greeting)
    ended = await carry(client, reader, wire, work)  # type: ignore[arg-type]  # all that it does is write and drain
    assert wire.commands.count(Command.REQUEST_IN_PROGRESS) >= 4
    assert wire.commands[-1] == Command.KEY_GENERATE_RESPONSE
    assert wire.writes == len(wire.commands)  # each message in one write
    assert ended.cause == "closed"


async def test_a_server_that_says_nothing_is_left() -> None:
    wire = Wire()
    client = Client(PHONE, pace=Pace(answer=0.01))

    async def work(effect: Effect) -> list[Effect]:
        raise AssertionError(effect)

    ended = await carry(client, asyncio.StreamReader(), wire, work)  # type: ignore[arg-type]
    assert isinstance(ended, Ended)
    assert ended.cause == "timeout"
    assert wire.commands == []


async def test_a_server_that_does_not_wait_for_the_answer_ends_the_session() -> None:
    """Both requests in one chunk: the second is out of place, and nothing hangs."""
    wire, reader = Wire(), asyncio.StreamReader()
    client = Client(PHONE)

    async def work(effect: Effect) -> list[Effect]:
        assert isinstance(effect, Prove)
        return client.prove(Proof(), asyncio.get_running_loop().time())

    reader.feed_data(b"".join(requests()))
    ended = await carry(client, reader, wire, work)  # type: ignore[arg-type]
    assert ended.cause == "unexpected"
    assert wire.commands == []
