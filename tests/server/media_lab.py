"""Phones with sockets, and a service to call through, for tests of `MediaService` on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import (
    Address,
    Event,
    MediaEvent,
    MediaReserved,
    Need,
    ReserveMedia,
    StreamSpec,
    UpdateMedia,
)
from cubeproxy.server.media import MediaService
from tests.media.phones import Heard, Phone, key

PATIENCE = 10.0  # s: long, only reached when something is broken
LOCAL = ("127.0.40.1", "127.0.40.2")
PORTS = (21000, 21999)


class Station(Phone):
    """A phone with an RTP and an RTCP socket."""

    def __init__(self, host: str, ours: MasterKey | None = None, theirs: MasterKey | None = None) -> None:
        self.rtp, self.rtcp = port_pair(host)
        super().__init__(self.rtp.getsockname(), ours, theirs)

    def send(self, to: Address, payload: bytes = b"\xff" * 160) -> None:
        self.rtp.sendto(self.say(payload), to)

    def receive(self) -> Heard:
        """The next packet; a test that waits here for ten seconds fails."""
        self.rtp.settimeout(PATIENCE)
        return self.hear(self.rtp.recv(2048))

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Two neighbouring ports."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.bind((host, 0))
        try:
            rtcp.bind((host, rtp.getsockname()[1] + 1))
        except (OSError, OverflowError):
            rtp.close()
            rtcp.close()
            continue
        return rtp, rtcp


def silent(sock: socket.socket) -> bool:
    """Whether nothing waits in a socket."""
    sock.setblocking(False)
    try:
        sock.recv(2048)
    except BlockingIOError:
        return True
    return False


class Exchange:
    """A service with the events that it sent."""

    def __init__(self, **settings: Any) -> None:
        self.events: asyncio.Queue[MediaEvent] = asyncio.Queue()
        self.reports: list[Event] = []
        ports = settings.pop("ports", PORTS)
        self.service = MediaService(self.events.put_nowait, ports, on_report=self.reports.append, **settings)
        self.stations: list[Station] = []
        self._tickets = 0

    async def event(self) -> MediaEvent:
        return await asyncio.wait_for(self.events.get(), PATIENCE)

    async def ask(self, local: tuple[str, str] = LOCAL, need: Need = Need.CRYPTO) -> MediaEvent:
        self._tickets += 1
        self.service.handle(ReserveMedia(self._tickets, "call", local, need))
        return await self.event()

    def station(self, host: str, ours: MasterKey | None = None, theirs: MasterKey | None = None) -> Station:
        station = Station(host, ours, theirs)
        self.stations.append(station)
        return station

    async def call(self, local: tuple[str, str] = LOCAL) -> Call:
        """An established call, SRTP on leg 0 and RTP on leg 1."""
        reserved = await self.ask(local)
        assert isinstance(reserved, MediaReserved), reserved
        access = self.station("127.0.40.3", key(1), key(2))
        core = self.station("127.0.40.4")
        call = Call(self.service, reserved, access, core)
        call.negotiate(access.spec(), core.spec())
        return call


class Call:
    def __init__(self, service: MediaService, reserved: MediaReserved, access: Station, core: Station) -> None:
        self.service = service
        self.session = reserved.session
        self.local = reserved.local
        self.stations = (access, core)

    def negotiate(self, access: StreamSpec | None, core: StreamSpec | None) -> None:
        self.service.handle(UpdateMedia(self.session, (access, core)))

    def talk(self, packets: int = 3) -> None:
        """Both say something that the other must hear, packet by packet."""
        exchange(self.stations, self.local, packets)


def exchange(stations: tuple[Station, Station], local: tuple[Address, Address], packets: int) -> None:
    """Numbered packets both ways; each must come out at the other end, in order and whole."""
    for number in range(packets):
        for leg in (0, 1):
            spoken = bytes((leg,)) + number.to_bytes(4, "big") * 40
            stations[leg].send(local[leg], spoken)
            assert stations[1 - leg].receive().payload == spoken


@contextlib.asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Exchange]:
    """A started service; its workers and sockets are gone afterwards."""
    exchange = Exchange(**settings)
    await exchange.service.start()
    try:
        yield exchange
    finally:
        await exchange.service.close()
        for station in exchange.stations:
            station.close()


def live(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A coroutine as a test, in a loop of its own."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def gone(pid: int, within: float = PATIENCE) -> bool:
    """Wait until a process has ended, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(within * 1000))
    finally:
        os.close(descriptor)
