"""Calls over a DSP farm on real sockets: CUBE's service and a farm's registration, with phones at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import pytest

from cubeproxy.config.model import Config
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.sccp.farm_words import State
from cubeproxy.protocols.sccp.messages import KeepAlive, RegisterRequest
from cubeproxy.protocols.sccp.registry import HEAD, encode
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import (
    Event,
    MediaEvent,
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    UpdateMedia,
)
from cubeproxy.server.dsp_farm import Registration
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.farm_plan import plans
from cubeproxy.server.sccp import MAX_CONNECTIONS
from cubeproxy.server.transcoding import TranscodingService
from tests.media.phones import SHA1_80, key
from tests.media.transcoders.scene import config
from tests.server.media_lab import PATIENCE, Station, exchange, live
from tests.waiting import until

ACCESS, CORE = "127.0.41.1", "127.0.41.2"
PORTS, FARM_PORTS = (22000, 22499), (22500, 22999)


class Nowhere(TextIO):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        pass


def router(application: str = "SCCP", **changes: object) -> Config:
    """The scene's router on loopback, with a free SCCP port."""
    found = config(application, **changes)
    found.interfaces["gi0"].address, found.interfaces["gi1"].address = ACCESS, CORE
    with socket.socket() as probe:
        probe.bind((CORE, 0))
        port = probe.getsockname()[1]
    assert found.telephony is not None
    found.telephony.source_address = (CORE, port)
    found.sccp.ccms[0].address, found.sccp.ccms[0].port = CORE, port
    found.voice.rtp_ports = PORTS
    return found


@dataclass
class Box:
    """A running service with what it told."""

    config: Config
    service: TranscodingService
    events: asyncio.Queue[MediaEvent]
    reports: list[Event]
    stations: list[Station]
    tickets: int = 0

    @property
    def address(self) -> tuple[str, int]:
        assert self.config.telephony is not None
        assert self.config.telephony.source_address is not None
        return self.config.telephony.source_address

    async def event(self) -> MediaEvent:
        return await asyncio.wait_for(self.events.get(), PATIENCE)

    async def reserve(self) -> MediaEvent:
        self.tickets += 1
        self.service.handle(ReserveMedia(self.tickets, "call", (ACCESS, CORE), Need.TRANSCODER))
        return await self.event()

    async def call(self, suite: Suite = SHA1_80) -> tuple[MediaReserved, tuple[Station, Station]]:
        """A call that is up: SRTP on leg 0, RTP on leg 1."""
        reserved = await self.reserve()
        assert isinstance(reserved, MediaReserved), reserved
        phones = Station("127.0.41.3", key(1, suite), key(2, suite)), Station("127.0.41.4")
        self.stations += phones
        self.service.handle(UpdateMedia(reserved.session, (phones[0].spec(), phones[1].spec())))
        return reserved, phones

    async def told(self, name: str) -> None:
        await until(lambda: any(event.name == name for event in self.reports))


@contextlib.asynccontextmanager
async def running(given: Config | None = None) -> AsyncIterator[Box]:
    given = given or router()
    events: asyncio.Queue[MediaEvent] = asyncio.Queue()
    reports: list[Event] = []
    service = TranscodingService(given, events.put_nowait, on_report=reports.append)
    box = Box(given, service, events, reports, [])
    try:
        await service.start()
        yield box
    finally:
        await service.close()
        for station in box.stations:
            station.close()


@contextlib.asynccontextmanager
async def farm(box: Box, pace: float = 0.01, name: str = "", reports: float = 0.0) -> AsyncIterator[Registration]:
    """The configuration's farm, registered; another one like it under another name."""
    (plan,) = plans(box.config)
    plan = replace(plan, name=name or plan.name)
    log = EventLog(Nowhere(), clock=asyncio.get_running_loop().time)
    registration = Registration(plan, log, ports=FARM_PORTS, pace=pace, reports=reports)
    try:
        await registration.start()
        await registered(registration)
        yield registration
    finally:
        await registration.stop()


async def registered(registration: Registration) -> None:
    await until(lambda: registration.client.state is State.ACTIVE)


async def flowing(box: Box, reserved: MediaReserved, phones: tuple[Station, Station]) -> None:
    """Wait until the farm is ready, by sending until something comes out; then every packet must."""
    loop = asyncio.get_running_loop()
    phones[1].rtp.setblocking(False)
    async with asyncio.timeout(PATIENCE):
        while True:
            phones[0].send(reserved.local[0])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await loop.sock_recv(phones[1].rtp, 2048)
                    break
    await asyncio.sleep(0.05)
    with contextlib.suppress(BlockingIOError):
        while phones[1].rtp.recv(2048):
            pass


async def talk(reserved: MediaReserved, phones: tuple[Station, Station]) -> None:
    await asyncio.to_thread(exchange, phones, reserved.local, 5)


@live
async def test_audio_goes_through_the_farm_both_ways() -> None:
    async with running() as box, farm(box) as registration:
        reserved, phones = await box.call()
        assert [host for host, _ in reserved.local] == [ACCESS, CORE]
        await flowing(box, reserved, phones)
        await talk(reserved, phones)
        (conference,) = registration.channels.conferences.values()
        access, core = box.service.counters(reserved.session)
        assert access.sent == core.received == 5
        inner, _ = box.service.inner_counters(reserved.session)
        assert inner.received == 5
        assert inner.sent <= access.received
        assert registration._media.counters(conference.session)[0].auth_failures == 0


@live
async def test_a_new_key_in_the_middle_of_a_call_goes_on() -> None:
    async with running() as box, farm(box) as registration:
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        phones[0].use(key(3), key(4))
        box.service.handle(UpdateMedia(reserved.session, (phones[0].spec(), phones[1].spec())))
        await flowing(box, reserved, phones)
        await talk(reserved, phones)
        assert len(registration.channels.conferences) == 1


@live
async def test_a_release_frees_the_farm() -> None:
    async with running() as box, farm(box) as registration:
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        box.service.handle(ReleaseMedia(reserved.session))
        await until(lambda: not registration.channels.conferences)
        assert box.service.sessions == 0


@live
async def test_a_farm_that_goes_takes_its_calls_and_may_come_back() -> None:
    async with running() as box:
        assert isinstance(await box.reserve(), MediaRefused)
        async with farm(box):
            reserved, _phones = await box.call()
        assert await box.event() == MediaLost(reserved.session, "DSP farm lost: unregistered", "pool-full")
        refused = await box.reserve()
        assert isinstance(refused, MediaRefused)
        assert refused.cause == "no-transcoder"
        async with farm(box):
            assert isinstance(await box.reserve(), MediaReserved)


@live
async def test_the_limit_of_the_farm_is_the_limit_of_calls() -> None:
    async with running(router(maximum_sessions=1)) as box, farm(box):
        reserved, phones = await box.call()
        refused = await box.reserve()
        assert isinstance(refused, MediaRefused)
        assert refused.cause == "pool-full"
        await flowing(box, reserved, phones)
        await talk(reserved, phones)


@live
async def test_a_farm_that_drains_takes_no_call_and_lets_those_in_progress_finish() -> None:
    async with running() as box, farm(box) as registration:
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        draining = asyncio.ensure_future(registration.drain(PATIENCE))
        async with asyncio.timeout(PATIENCE):
            while not isinstance(refused := await box.reserve(), MediaRefused):
                assert isinstance(refused, MediaReserved)
                box.service.handle(ReleaseMedia(refused.session))
        assert refused.cause == "pool-full"
        await talk(reserved, phones)
        assert not draining.done()
        box.service.handle(ReleaseMedia(reserved.session))
        await asyncio.wait_for(draining, PATIENCE)


@live
async def test_a_reset_farm_registers_again() -> None:
    async with running() as box, farm(box) as registration:
        box.service.reset_farms()
        await box.told("sccp.farm.lost")
        await registered(registration)
        assert isinstance(await box.reserve(), MediaReserved)


@live
async def test_a_farm_waits_for_its_call_manager() -> None:
    given = router()
    (plan,) = plans(given)
    log = EventLog(Nowhere(), clock=asyncio.get_running_loop().time)
    registration = Registration(plan, log, ports=FARM_PORTS, pace=0.01)
    try:
        await registration.start()
        await until(lambda: "sccp.unreachable" in log.counts)
        async with running(given) as box:
            await registered(registration)
            reserved, phones = await box.call()
            await flowing(box, reserved, phones)
    finally:
        await registration.stop()


@live
async def test_the_local_transcoder_needs_no_farm() -> None:
    async with running(router("CUBE")) as box:
        reserved, phones = await box.call()
        await talk(reserved, phones)
        assert len(box.service.workers) == 1


@live
async def test_a_drained_service_takes_no_call_and_waits_for_those_in_progress() -> None:
    async with running(router("CUBE")) as box:
        reserved = await box.reserve()
        assert isinstance(reserved, MediaReserved)
        draining = asyncio.ensure_future(box.service.drain())
        await asyncio.sleep(0)
        assert isinstance(await box.reserve(), MediaRefused)
        box.service.handle(ReleaseMedia(reserved.session))
        assert await asyncio.wait_for(draining, PATIENCE)


@live
async def test_a_port_that_is_taken_is_named() -> None:
    given = router()
    assert given.telephony is not None
    assert given.telephony.source_address is not None
    with socket.socket() as other:
        other.bind(given.telephony.source_address)
        other.listen()
        with pytest.raises(ConfigError, match="cannot listen for DSP farms"):
            async with running(given):
                pass


# who else connects


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await reader.read(-1)


@live
async def test_what_is_no_sccp_is_cut_off() -> None:
    async with running() as box:
        reader, writer = await asyncio.open_connection(*box.address, local_addr=(CORE, 0))
        writer.write(b"GET / HTTP/1.1\r\nHost: cube\r\n\r\n")
        assert await read_all(reader) == b""
        writer.close()


@live
async def test_a_stranger_is_told_and_gets_nothing() -> None:
    async with running() as box:
        reader, writer = await asyncio.open_connection(*box.address, local_addr=(CORE, 0))
        writer.write(encode(KeepAlive()) + encode(RegisterRequest(device="STRANGER", max_streams=2)))
        length, _version, number = HEAD.unpack(await reader.readexactly(12))
        assert number == 0x9D
        assert b"no sdspfarm tag" in await reader.readexactly(length - 4)
        writer.close()
        await box.told("sccp.farm.rejected")
        assert isinstance(await box.reserve(), MediaRefused)


@live
async def test_nobody_outside_takes_a_farms_place() -> None:
    async with running() as box:
        for _ in range(MAX_CONNECTIONS + 1):
            reader, writer = await asyncio.open_connection(*box.address, local_addr=("127.0.41.99", 0))
            assert await read_all(reader) == b""
            writer.close()
        assert {event.cause for event in box.reports if event.name == "sccp.refused"} == {
            "SCCP in the clear is for DSP farms on this box"
        }
        async with farm(box):
            assert isinstance(await box.reserve(), MediaReserved)


@live
async def test_connections_are_counted() -> None:
    async with running() as box:
        here = (CORE, 0)
        streams = [await asyncio.open_connection(*box.address, local_addr=here) for _ in range(MAX_CONNECTIONS)]
        reader, writer = await asyncio.open_connection(*box.address, local_addr=here)
        assert await read_all(reader) == b""
        for _, open_writer in streams:
            open_writer.close()
        writer.close()


# what a configuration registers


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"shutdown": True}, "is shut down"),
        ({"tls": True}, "presents no certificate"),
        ({"maximum_sessions": 0}, "has no sessions"),
    ],
)
def test_a_profile_that_cannot_register_is_named(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as refusal:
        plans(config(**changes))
    assert refusal.value.fix


def test_a_configuration_without_a_farm_says_what_is_missing() -> None:
    given = config()
    given.sccp.enabled = False
    with pytest.raises(ConfigError, match="SCCP is off"):
        plans(given)
    with pytest.raises(ConfigError, match="no dspfarm profile registers"):
        plans(config("CUBE"))
    given = config()
    given.voice_cards["0"].dsp_services_dspfarm = False
    with pytest.raises(ConfigError, match="no voice card"):
        plans(given)
    given = config()
    given.sccp.groups[1].associate_ccm.clear()
    with pytest.raises(ConfigError, match="has no call manager"):
        plans(given)
    given = config()
    given.interfaces.clear()
    with pytest.raises(ConfigError, match="has no address"):
        plans(given)


def test_the_module_limits_the_sessions(root: Path) -> None:
    from cubeproxy.media.dsp.capacity import find_module

    (plan,) = plans(config(maximum_sessions=500), find_module("PVDM3-64"))
    assert plan.sessions == 48
    assert plan.servers == (("198.51.100.1", 2000),)
