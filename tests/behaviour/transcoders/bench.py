"""A transcoding service on loopback with the calls that go through it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from cubeproxy.config.model import Config
from cubeproxy.media.transcoders.words import Transcoder
from cubeproxy.protocols.values import (
    Event,
    MediaEvent,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    StreamSpec,
    UpdateMedia,
)
from cubeproxy.server.transcoding import TranscodingService
from tests.behaviour.transcoders.callers import TONES, Caller, talk
from tests.media.phones import key
from tests.server.media_lab import PATIENCE

LOCAL = ("127.0.71.1", "127.0.71.2")
HOSTS = ("127.0.71.3", "127.0.71.4")


class Call:
    """A session and its two ends: SRTP on leg 0, RTP on leg 1, unless the test brings other ends."""

    def __init__(self, bench: Bench, reserved: MediaReserved, callers: tuple[Caller, Caller]) -> None:
        self.bench = bench
        self.session, self.local = reserved.session, reserved.local
        self.callers = callers

    def negotiate(self, *legs: StreamSpec | None) -> None:
        """The legs as both ends are now, or other ones."""
        first, second = legs or (self.callers[0].spec(), self.callers[1].spec())
        self.bench.service.handle(UpdateMedia(self.session, (first, second)))

    async def flows(self) -> None:
        """Wait until something passes both ways: what carries the call may need a moment to be ready for it."""
        loop = asyncio.get_running_loop()
        for leg, (speaker, listener) in enumerate((self.callers, self.callers[::-1])):
            async with asyncio.timeout(PATIENCE):
                while True:
                    speaker.send(self.local[leg])
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await loop.sock_recv(listener.rtp, 2048)
                            break
        for _ in range(20):  # what is still on its way is not what will be said next
            for caller in self.callers:
                caller.deafen()
            await asyncio.sleep(0.06)
            if not any(caller.waiting() for caller in self.callers):
                break

    async def silent(self, leg: int) -> None:
        """Wait until what the other end says no longer reaches this one."""
        speaker, listener = self.callers[1 - leg], self.callers[leg]
        async with asyncio.timeout(PATIENCE):
            while True:
                listener.deafen()
                for _ in range(5):
                    speaker.send(self.local[1 - leg])
                    await asyncio.sleep(0.02)
                if not listener.waiting():
                    return

    async def talk(self) -> None:
        await talk(self.callers, self.local)

    def release(self) -> None:
        self.bench.service.handle(ReleaseMedia(self.session))


class Bench:
    """`service` runs; `reports` are the events for the operator, `events` those for the border."""

    def __init__(self, config: Config, **settings: Any) -> None:
        self.config = config
        self.events: asyncio.Queue[MediaEvent] = asyncio.Queue()
        self.reports: list[Event] = []
        self.service = TranscodingService(config, self.events.put_nowait, on_report=self.reports.append, **settings)
        self.callers: list[Caller] = []
        self._tickets = 0

    @property
    def member(self) -> Transcoder:
        (member,) = self.service.pool.members
        return member

    async def event(self) -> MediaEvent:
        return await asyncio.wait_for(self.events.get(), PATIENCE)

    async def reserve(self) -> MediaEvent:
        self._tickets += 1
        self.service.handle(ReserveMedia(self._tickets, "call", LOCAL, Need.TRANSCODER))
        return await self.event()

    async def refusal(self) -> MediaRefused:
        """What a call that must be refused is told."""
        answer = await self.reserve()
        assert isinstance(answer, MediaRefused), answer
        return answer

    def caller(self, leg: int, **settings: Any) -> Caller:
        """One end of a call; without keys it is clear."""
        caller = Caller(HOSTS[leg], TONES[leg], **settings)
        self.callers.append(caller)
        return caller

    def ends(self) -> tuple[Caller, Caller]:
        """SRTP and RTP, both PCMU."""
        return self.caller(0, ours=key(1), theirs=key(2)), self.caller(1)

    async def call(self, *callers: Caller) -> Call:
        """A call that is up: packets pass both ways."""
        reserved = await self.reserve()
        assert isinstance(reserved, MediaReserved), reserved
        first, second = callers or self.ends()
        call = Call(self, reserved, (first, second))
        call.negotiate()
        await call.flows()
        return call


@contextlib.asynccontextmanager
async def running(config: Config, **settings: Any) -> AsyncIterator[Bench]:
    bench = Bench(config, **settings)
    try:
        await bench.service.start()
        yield bench
    finally:
        await bench.service.close()
        for caller in bench.callers:
            caller.close()
