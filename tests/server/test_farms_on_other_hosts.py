"""DSP farms on other hosts: SCCP over mutual TLS on port 2443, one pool, and nobody in it who does not belong."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.rtcp import ReceiverReport, SenderReport, parse
from cubeproxy.protocols.sccp.messages import KeepAlive
from cubeproxy.protocols.sccp.registry import encode
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import (
    Event,
    MediaMoved,
    MediaRefused,
    MediaReserved,
    ReleaseMedia,
    StreamCounters,
    UpdateMedia,
)
from cubeproxy.server.dsp_farm import Registration
from cubeproxy.server.farm_plan import plans
from cubeproxy.server.sccp_tls import PORT
from tests.media.phones import key
from tests.server.farm_hosts import CUBE_HOST, SECURE, FarmHost, put, registering, serving
from tests.server.media_lab import PATIENCE, Station, exchange
from tests.server.test_transcoding import Box, flowing, registered, running, talk
from tests.transport.pki import OTHER_CA, issue, rsa_key
from tests.waiting import until

HOSTS = ("127.0.44.11", "127.0.44.12", "127.0.44.13")


def live(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    """A coroutine as a test, in a loop of its own, with a folder."""

    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def hosts(folder: Path, *sessions: int) -> list[FarmHost]:
    return [
        FarmHost(folder / f"farm{number}", f"FARM{number}", HOSTS[number - 1], size)
        for number, size in enumerate(sessions, 1)
    ]


async def all_in(farms: list[Registration], box: Box) -> None:
    """Every farm is registered, and its resources are known."""
    for one in farms:
        await registered(one)
    pool = box.service.pool.farms
    assert pool is not None
    await until(lambda: all(farm.server.capabilities for farm in pool.farms.values()))


def placed(box: Box) -> Counter[str]:
    """Calls by the farm that carries them."""
    pool = box.service.pool.farms
    assert pool is not None
    return Counter({farm.server.name: len(farm.sessions) for farm in pool.farms.values() if farm.sessions})


def refusals(reports: list[Event]) -> list[Event]:
    return [event for event in reports if event.name == "tls.refused"]


# one pool


@live
async def test_a_farm_on_another_host_carries_a_call(tmp_path: Path) -> None:
    (host,) = hosts(tmp_path, 2)
    async with serving(tmp_path / "cube", "FARM1") as box, registering([host]) as farms:
        await all_in(farms, box)
        assert farms[0].plan.servers == (SECURE,)
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        await talk(reserved, phones)
        pool = box.service.pool.farms
        assert pool is not None
        (session,) = pool.sessions.values()
        assert session.hosts is not None
        assert {address for address, _port in session.hosts} == {host.host}
        assert {address for address, _port in session.inside} == {CUBE_HOST}
        (farm,) = pool.farms.values()
        assert farm.identity is not None
        assert (farm.identity.subject, farm.identity.trustpoint) == ("CN=dsp-farm", "FARMS")


@pytest.mark.parametrize(
    "suite", [Suite.AEAD_AES_128_GCM, Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32]
)
def test_each_suite_that_sccp_carries_is_heard_over_a_farm(tmp_path: Path, suite: Suite) -> None:
    async def run() -> None:
        async with serving(tmp_path / "cube", "FARM1") as box, registering(hosts(tmp_path, 2)) as farms:
            await all_in(farms, box)
            reserved, phones = await box.call(suite)
            await flowing(box, reserved, phones)
            await talk(reserved, phones)
            (conference,) = farms[0].channels.conferences.values()
            counted = farms[0]._media.counters(conference.session)
            assert counted[0].received >= 5
            assert counted[0].auth_failures == counted[1].auth_failures == 0

    asyncio.run(run())


@live
async def test_reports_come_from_the_farm_which_has_the_keys(tmp_path: Path) -> None:
    """The hops pass RTCP unopened both ways; the farm answers on each stream, as SRTCP on the secure one."""
    async with serving(tmp_path / "cube", "FARM1") as box, registering(hosts(tmp_path, 2), 0.3) as farms:
        await all_in(farms, box)
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        phone, core = phones
        heard = asyncio.gather(*(asyncio.to_thread(_report, station) for station in phones))
        while not heard.done():
            await asyncio.to_thread(talk_once, phones, reserved)
        secure, clear = await heard
        assert phone._in is not None
        assert isinstance(parse(phone._in.unprotect_rtcp(secure))[0], SenderReport | ReceiverReport)
        assert isinstance(parse(clear)[0], SenderReport | ReceiverReport)
        with pytest.raises(RemoteProtocolError):
            parse(secure)
        host, port = reserved.local[1]
        core.rtcp.sendto(clear, (host, port + 1))
        await until(lambda: _counted(farms[0])[1].rtcp_received)
        assert _counted(farms[0])[0].rtcp_sent


def _report(station: Station) -> bytes:
    station.rtcp.settimeout(PATIENCE)
    return station.rtcp.recv(2048)


def talk_once(phones: tuple[Station, Station], reserved: MediaReserved) -> None:
    exchange(phones, reserved.local, 1)
    time.sleep(0.02)  # the pace of voice


def _counted(farm: Registration) -> tuple[StreamCounters, StreamCounters]:
    (conference,) = farm.channels.conferences.values()
    return farm._media.counters(conference.session)


@live
async def test_farms_on_several_hosts_are_one_pool(tmp_path: Path) -> None:
    """Placed by free sessions; full only when all of them are; audio on every one."""
    async with (
        serving(tmp_path / "cube", "FARM1", "FARM2", "FARM3") as box,
        registering(hosts(tmp_path, 3, 2, 1)) as farms,
    ):
        await all_in(farms, box)
        calls = [await box.call()]
        assert placed(box) == {"FARM1": 1}
        calls += [await box.call() for _ in range(5)]
        assert placed(box) == {"FARM1": 3, "FARM2": 2, "FARM3": 1}
        refused = await box.reserve()
        assert isinstance(refused, MediaRefused)
        assert refused.cause == "pool-full"
        for reserved, phones in calls:
            await flowing(box, reserved, phones)
            await talk(reserved, phones)
        box.service.handle(ReleaseMedia(calls[0][0].session))
        assert isinstance(await box.reserve(), MediaReserved)


@live
async def test_a_host_that_drains_keeps_its_call_and_gets_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path / "cube", "FARM1", "FARM2") as box, registering(hosts(tmp_path, 3, 2)) as farms:
        await all_in(farms, box)
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        assert placed(box) == {"FARM1": 1}
        draining = asyncio.ensure_future(farms[0].drain(PATIENCE))
        pool = box.service.pool.farms
        assert pool is not None
        await until(lambda: any(farm.server.out_of_service for farm in pool.farms.values()))
        others = [await box.call() for _ in range(2)]
        assert placed(box) == {"FARM1": 1, "FARM2": 2}
        assert isinstance(await box.reserve(), MediaRefused)
        await talk(reserved, phones)
        assert not draining.done()
        box.service.handle(ReleaseMedia(reserved.session))
        await asyncio.wait_for(draining, PATIENCE)
        await farms[0].stop()
        for other, ends in others:
            await flowing(box, other, ends)
            await talk(other, ends)


@live
async def test_a_call_of_a_lost_host_goes_on_over_another_host(tmp_path: Path) -> None:
    """Its ports towards the phones stay; the key of what we send does not (see `MediaMoved`)."""
    async with serving(tmp_path / "cube", "FARM1", "FARM2") as box, registering(hosts(tmp_path, 3, 2)) as farms:
        await all_in(farms, box)
        reserved, phones = await box.call()
        await flowing(box, reserved, phones)
        assert placed(box) == {"FARM1": 1}
        await farms[0].stop()
        moved = await box.event()
        assert isinstance(moved, MediaMoved)
        assert moved.session == reserved.session
        phones[0].use(key(1), key(3))
        box.service.handle(UpdateMedia(reserved.session, (phones[0].spec(), phones[1].spec())))
        await flowing(box, reserved, phones)
        await talk(reserved, phones)
        assert placed(box) == {"FARM2": 1}
        pool = box.service.pool.farms
        assert pool is not None
        (session,) = pool.sessions.values()
        assert session.hosts is not None
        assert {address for address, _port in session.hosts} == {HOSTS[1]}


@live
async def test_a_reset_brings_every_host_back(tmp_path: Path) -> None:
    async with serving(tmp_path / "cube", "FARM1", "FARM2") as box, registering(hosts(tmp_path, 1, 1)) as farms:
        await all_in(farms, box)
        box.service.reset_farms()
        await until(lambda: sum(event.name == "sccp.farm.lost" for event in box.reports) == 2)
        await all_in(farms, box)
        assert isinstance(await box.reserve(), MediaReserved)
        assert isinstance(await box.reserve(), MediaReserved)


# who gets in


@live
async def test_a_farm_whose_authority_is_unknown_is_named_with_the_fix(tmp_path: Path) -> None:
    (host,) = hosts(tmp_path, 2)
    async with serving(tmp_path / "cube", "FARM1", trusts=None) as box, registering([host]):
        await until(lambda: refusals(box.reports))
        event = refusals(box.reports)[0]
        assert event.cause == "certificate"
        assert "CN=dsp-farm" in event.text
        assert "DSP-FARM-CA" in event.text
        assert event.fields["trustpoint"] == "DSP_FARM_CA"
        assert "crypto pki trustpoint DSP_FARM_CA" in event.fix
        assert "cubeproxy pki authenticate DSP_FARM_CA" in event.fix
        await until(lambda: any("does not trust our certificate" in line for line in host.log.lines))
        assert isinstance(await box.reserve(), MediaRefused)


@live
async def test_a_farm_talks_to_no_call_manager_that_it_cannot_verify(tmp_path: Path) -> None:
    (host,) = hosts(tmp_path, 2)
    host.trusts = None
    async with serving(tmp_path / "cube", "FARM1") as box, registering([host]) as farms:
        await until(lambda: any("tls.refused" in line for line in host.log.lines))
        (line, *_) = [line for line in host.log.lines if "tls.refused" in line]
        assert "CN=cube.lab.example" in line
        assert "crypto pki trustpoint LAB_VOICE_CA" in line
        assert not farms[0].channels.conferences
        await until(lambda: [event.cause for event in refusals(box.reports)] and True)
        assert refusals(box.reports)[0].cause == "peer-refused"


@live
async def test_the_call_manager_must_be_vouched_for_by_the_trustpoint_that_its_line_names(tmp_path: Path) -> None:
    """`sccp ccm ... trustpoint NAME`."""
    (host,) = hosts(tmp_path, 2)
    given = host.config
    given.sccp.ccms[0].trustpoint = "OTHER"
    (plan,) = plans(given)
    assert plan.vouchers == {SECURE: "OTHER"}
    store = host.store
    put(host.folder, "OTHER", ca=OTHER_CA)
    store = Store(host.folder, {**(store.configured or {}), "OTHER": put(host.folder, "OTHER")})
    registration = host.registration()
    wrong = Registration(plan, registration._log, ports=(26900, 26999), pace=0.01, store=store)
    async with serving(tmp_path / "cube", "FARM1"):
        try:
            await wrong.start()
            await until(lambda: any("tls.refused" in line for line in host.log.lines))
        finally:
            await wrong.stop()


@live
async def test_no_phone_is_a_farm(tmp_path: Path) -> None:
    """Whoever registers is handed the keys of calls: an LSC is not enough."""
    (host,) = hosts(tmp_path, 2)
    host.own = issue("SEP001122334455", OTHER_CA, key=rsa_key(8))
    async with serving(tmp_path / "cube", "FARM1", trusts=OTHER_CA) as box, registering([host]):
        await until(lambda: refusals(box.reports))
        event = refusals(box.reports)[0]
        assert "vouches for no DSP farm" in event.text
        assert "CN=SEP001122334455" in event.text
        assert "trustpoint NAME" in event.fix


def judged_by_openssl(folder: Path, *, certificate: bool) -> bytes:
    """Another program's TLS (the standard library's) at the port: what it hears after a KeepAlive."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / "CALLMANAGER" / "ca.pem")
    if certificate:
        context.load_cert_chain(folder / "FARM" / "cert.pem", folder / "FARM" / "key.pem")
    with socket.create_connection(SECURE, PATIENCE) as plain, context.wrap_socket(plain) as secure:
        secure.sendall(encode(KeepAlive()))
        secure.settimeout(0.3 if certificate else PATIENCE)
        return secure.recv(100)


@live
async def test_another_programs_tls_gets_in_with_a_certificate_only(tmp_path: Path) -> None:
    (host,) = hosts(tmp_path, 2)
    assert host.store.own("FARM")
    async with serving(tmp_path / "cube", "FARM1") as box:
        with pytest.raises(TimeoutError):  # welcome, and a KeepAlive without a registration has no answer
            await asyncio.to_thread(judged_by_openssl, host.folder, certificate=True)
        assert not refusals(box.reports)
        with pytest.raises(ssl.SSLError, match=r"(?i)certificate required"):
            await asyncio.to_thread(judged_by_openssl, host.folder, certificate=False)
        assert refusals(box.reports)[0].cause == "no-certificate"


@live
async def test_sccp_in_the_clear_gets_nowhere_on_the_secure_port(tmp_path: Path) -> None:
    async with serving(tmp_path / "cube", "FARM1") as box:
        reader, writer = await asyncio.open_connection(*SECURE)
        writer.write(encode(KeepAlive()))
        async with asyncio.timeout(PATIENCE):
            assert await reader.read(-1) == b""
        writer.close()
        assert refusals(box.reports)[0].cause == "not-tls"


@live
async def test_a_name_without_a_tag_is_refused_over_tls_too(tmp_path: Path) -> None:
    async with serving(tmp_path / "cube", "ANOTHER") as box, registering(hosts(tmp_path, 2)):
        await box.told("sccp.farm.rejected")
        assert isinstance(await box.reserve(), MediaRefused)


@live
async def test_a_farm_whose_authority_is_no_longer_trusted_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path / "cube", "FARM1") as box, registering(hosts(tmp_path, 2)) as farms:
        await all_in(farms, box)
        assert box.service.rejudge() == 0
        put(tmp_path / "cube", "FARMS", ca=OTHER_CA)
        store = box.service._farm_tls.__self__._store  # type: ignore[union-attr]
        store.reload()
        assert box.service.rejudge() == 1
        await box.told("sccp.farm.lost")
        assert "CN=dsp-farm" in refusals(box.reports)[0].text


@live
async def test_a_profile_without_a_certificate_says_so_at_the_start(tmp_path: Path) -> None:
    (host,) = hosts(tmp_path, 2)
    (plan,) = plans(host.config)
    registration = Registration(plan, host.registration()._log, store=Store(tmp_path / "empty", {}))
    with pytest.raises(TrustError, match="there is no trustpoint FARM"):
        await registration.start()


@live
async def test_the_secure_port_stays_shut_without_secure_signalling(tmp_path: Path) -> None:
    async with running():
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(CUBE_HOST, PORT)


def test_the_port_is_the_secure_one_unless_the_line_names_another(tmp_path: Path) -> None:
    """The vendor's samples name the call manager by its clear port, or by none."""
    (host,) = hosts(tmp_path, 2)
    given = host.config
    assert plans(given)[0].servers == ((CUBE_HOST, 2443),)
    given.sccp.ccms[0].port = 3000
    assert plans(given)[0].servers == ((CUBE_HOST, 3000),)
    given.dspfarm_profiles[1].tls = False
    given.sccp.ccms[0].port = 2000
    assert plans(given)[0].servers == ((CUBE_HOST, 2000),)
