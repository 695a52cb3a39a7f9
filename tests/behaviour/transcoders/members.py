"""How each member of the pool is set up: the same words for all, so that no row knows which one it has."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cubeproxy.config.model import Config
from cubeproxy.media.transcoders.lti import LtiTranscoder
from cubeproxy.media.transcoders.ng_engine import EngineSettings
from cubeproxy.media.transcoders.rtpengine import Rtpengines
from cubeproxy.media.transcoders.sccp import SccpFarms
from cubeproxy.media.transcoders.words import Capability
from cubeproxy.server.dsp_farm import Registration
from tests.behaviour.transcoders.bench import Bench, running
from tests.behaviour.transcoders.engine import RtpengineProcess
from tests.server import test_transcoding as lab
from tests.server.media_lab import PATIENCE
from tests.waiting import until

CODECS = ["g711ulaw", "g711alaw", "g722-64", "g729ar8"]  # of a profile


class Member(ABC):
    """`carriers`: whether sessions are carried by something that can be absent while the service runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # for logs

    name: str
    capabilities: frozenset[Capability]
    carriers: bool = True

    @abstractmethod
    def config(self, sessions: int) -> Config: ...

    @contextlib.asynccontextmanager
    async def service(self, sessions: int = 8, **settings: Any) -> AsyncIterator[Bench]:
        """The service alone: nothing that could carry a call is there, unless it is the service itself.

        `settings` are those of `TranscodingService`.
        """
        async with running(self.config(sessions), **settings) as bench:
            yield bench

    @contextlib.asynccontextmanager
    async def bench(self, sessions: int = 8, **settings: Any) -> AsyncIterator[Bench]:
        """A service that can carry so many sessions."""
        async with self.service(sessions, **settings) as bench, self.carrier(bench):
            yield bench

    @contextlib.asynccontextmanager
    async def carrier(self, bench: Bench) -> AsyncIterator[None]:
        """What carries sessions is there, and the service knows it."""
        yield

    async def drain(self, bench: Bench) -> None:
        """Take what carries sessions out of service, for those who declare it; calls go on."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def another(self, bench: Bench) -> AsyncIterator[None]:
        """Something else that carries sessions is there too, for those who declare re-homing."""
        raise NotImplementedError
        yield

    async def lose(self, bench: Bench) -> None:
        """What `carrier` brought is gone, and another one is not."""
        raise NotImplementedError

    @abstractmethod
    def carried(self, bench: Bench) -> int:
        """Sessions that are really there, as whoever carries them counts."""


class Lti(Member):
    name = "LTI"
    capabilities = LtiTranscoder.capabilities
    carriers = False

    def config(self, sessions: int) -> Config:
        given = lab.router("CUBE", maximum_sessions=sessions, codecs=CODECS, universal=True)
        given.telephony = None  # no farm beside it
        return given

    def carried(self, bench: Bench) -> int:
        return bench.service.sessions


class Farm(Member):
    name = "SCCP"
    capabilities = SccpFarms.capabilities

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.registrations: list[Registration] = []
        self.draining: list[asyncio.Future[None]] = []
        self.reports = 0.0  # s, of the farms: whoever has the keys must make them

    def config(self, sessions: int) -> Config:
        return lab.router(maximum_sessions=sessions, codecs=CODECS, universal=True)

    @contextlib.asynccontextmanager
    async def service(self, sessions: int = 8, **settings: Any) -> AsyncIterator[Bench]:
        self.reports = settings.get("reports", 0.0)
        async with super().service(sessions, **settings) as bench:
            yield bench

    @contextlib.asynccontextmanager
    async def carrier(self, bench: Bench, name: str = "") -> AsyncIterator[None]:
        box = lab.Box(bench.config, bench.service, bench.events, bench.reports, [])
        async with lab.farm(box, name=name, reports=self.reports) as registration:
            self.registrations.append(registration)
            await until(lambda: bench.member.refusal() is None)
            yield
        self.registrations.remove(registration)

    @contextlib.asynccontextmanager
    async def another(self, bench: Bench) -> AsyncIterator[None]:
        async with self.carrier(bench, "OTHER"):
            yield

    async def lose(self, bench: Bench) -> None:
        await self.registrations[0].stop()

    async def drain(self, bench: Bench) -> None:
        for registration in self.registrations:
            self.draining.append(asyncio.ensure_future(registration.drain(PATIENCE)))
        await until(lambda: bench.member.refusal() is not None)

    def carried(self, bench: Bench) -> int:
        return sum(len(registration.channels.conferences) for registration in self.registrations)


class Rtpengine(Member):
    name = "rtpengine"
    capabilities = Rtpengines.capabilities

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.engine = RtpengineProcess(folder)
        self.other = RtpengineProcess(folder)

    def config(self, sessions: int) -> Config:
        given = lab.router()
        given.telephony = None  # no farm beside it
        return given

    @contextlib.asynccontextmanager
    async def service(self, sessions: int = 8, **settings: Any) -> AsyncIterator[Bench]:
        engines = [EngineSettings(each.control, sessions=sessions) for each in (self.engine, self.other)]
        async with super().service(sessions, engines=engines, **settings) as bench:
            yield bench

    @contextlib.asynccontextmanager
    async def carrier(self, bench: Bench) -> AsyncIterator[None]:
        async with self.engine:
            await until(lambda: bench.member.refusal() is None)
            yield

    @contextlib.asynccontextmanager
    async def another(self, bench: Bench) -> AsyncIterator[None]:
        engines = bench.service.pool.engines
        assert engines is not None
        async with self.other:
            await until(lambda: engines.engines[1].up)
            yield

    async def lose(self, bench: Bench) -> None:
        await self.engine.stop()

    async def drain(self, bench: Bench) -> None:
        engines = bench.service.pool.engines
        assert engines is not None
        assert engines.drain(engines.engines[0].name)

    def carried(self, bench: Bench) -> int:
        return self.engine.sessions


MEMBERS: tuple[type[Member], ...] = (Lti, Farm, Rtpengine)
