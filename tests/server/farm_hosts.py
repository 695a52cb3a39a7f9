"""A CUBE and DSP farms on other hosts, each an address of loopback, each with trustpoints of its own in a folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives import serialization

from cubeproxy.config.model import Config, TelephonyService, Trustpoint
from cubeproxy.pki.store import Store
from cubeproxy.protocols.values import MediaEvent
from cubeproxy.server.dsp_farm import Registration
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.farm_plan import plans
from cubeproxy.server.sccp_tls import PORT
from cubeproxy.server.tls import TlsPolicy
from cubeproxy.server.transcoding import TranscodingService
from tests.media.transcoders.scene import config
from tests.server.test_transcoding import Box, Nowhere, router
from tests.transport.pki import Pair, issue, rsa_key

CUBE_HOST = "127.0.41.2"
SECURE = (CUBE_HOST, PORT)
CUBE_CA = issue("LAB-VOICE-CA", is_ca=True, key=rsa_key(5))
FARM_CA = issue("DSP-FARM-CA", is_ca=True, key=rsa_key(6))
CUBE = issue("cube.lab.example", CUBE_CA, key=rsa_key(7))


def put(folder: Path, trustpoint: str, *, own: Pair | None = None, ca: Pair | None = None) -> Trustpoint:
    """The files of a trustpoint."""
    place = folder / trustpoint
    place.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    if ca is not None:
        (place / "ca.pem").write_bytes(ca.certificate.public_bytes(pem))
    if own is not None:
        (place / "cert.pem").write_bytes(own.certificate.public_bytes(pem))
        key = own.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (place / "key.pem").touch(0o600)
        (place / "key.pem").write_bytes(key)
    return Trustpoint(trustpoint)


def cube(folder: Path, *names: str, trusts: Pair | None = FARM_CA) -> tuple[Config, Store]:
    """The call manager: no farm on its own box, farms of these names welcome."""
    given = router()
    given.dspfarm_profiles.clear()
    given.sccp.groups.clear()
    assert given.telephony is not None
    address = given.telephony.source_address
    given.telephony = TelephonyService(10, 100, dict(enumerate(names, 1)), address, "CUBE")
    given.trustpoints = {"CUBE": put(folder, "CUBE", own=CUBE, ca=CUBE_CA)}
    if trusts is not None:
        given.trustpoints["FARMS"] = put(folder, "FARMS", ca=trusts)
    return given, Store(folder, given.trustpoints)


@dataclass
class FarmHost:
    """A router with a farm, at an address of its own. `own` is what it presents, `trusts` whom it lets be CUBE."""

    folder: Path
    name: str
    host: str
    sessions: int = 2
    own: Pair = field(default_factory=lambda: issue("dsp-farm", FARM_CA, key=rsa_key(8)))
    trusts: Pair | None = field(default_factory=lambda: CUBE_CA)
    log: Nowhere = field(default_factory=Nowhere)

    @property
    def store(self) -> Store:
        points = {"FARM": put(self.folder, "FARM", own=self.own, ca=FARM_CA)}
        if self.trusts is not None:
            points["CALLMANAGER"] = put(self.folder, "CALLMANAGER", ca=self.trusts)
        return Store(self.folder, points)

    @property
    def config(self) -> Config:
        given = config(tls=True, trustpoint="FARM", maximum_sessions=self.sessions)
        given.interfaces["gi1"].address = self.host
        given.sccp.ccms[0].address = CUBE_HOST
        given.sccp.groups[1].associate_profile = [(1, self.name)]
        given.telephony = None
        return given

    def registration(self, pace: float = 0.01, reports: float = 0.0) -> Registration:
        (plan,) = plans(self.config)
        log = EventLog(self.log, clock=asyncio.get_running_loop().time)
        first = 26000 + 100 * (int(self.host.rpartition(".")[2]) % 50)
        return Registration(plan, log, ports=(first, first + 99), pace=pace, store=self.store, reports=reports)


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *names: str, trusts: Pair | None = FARM_CA, keylog: BinaryIO | None = None
) -> AsyncIterator[Box]:
    """The call manager with its secure port open."""
    given, store = cube(folder, *names, trusts=trusts)
    events: asyncio.Queue[MediaEvent] = asyncio.Queue()
    box = Box(given, None, events, [], [])  # type: ignore[arg-type]
    policy = TlsPolicy(given, store, keylog=keylog)
    box.service = TranscodingService(given, events.put_nowait, on_report=box.reports.append, farm_tls=policy.farms)
    try:
        await box.service.start()
        yield box
    finally:
        await box.service.close()
        for station in box.stations:
            station.close()


@contextlib.asynccontextmanager
async def registering(hosts: Iterable[FarmHost], reports: float = 0.0) -> AsyncIterator[list[Registration]]:
    """The farms of these hosts run; whether they get in is another matter."""
    found = [host.registration(reports=reports) for host in hosts]
    try:
        for one in found:
            await one.start()
        yield found
    finally:
        for one in found:
            await one.stop()
