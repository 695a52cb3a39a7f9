"""CSCup28852: with one CallManager certificate for all nodes, every ITL refresh resets the phones. The log says why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cubelab.agent.agent import NoAnswer
from cubelab.cluster.keys import read_keys, shared_manager
from cubelab.cluster.lists import ItlKeeper
from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.phone.powered import PoweredPhone
from cubelab.pki.issue import Issued, issue
from cubelab.pki.lab import Lab
from cubelab.pki.profiles import load_profiles
from cubelab.voice.pacer import Pacer
from cubeproxy.protocols.trustlist import read_list
from cubeproxy.protocols.values import Transport
from tests.lab.boot.stage import NODES, PASSWORD, SIP_PORTS, Plant

PUBLISHER = "pub"
NOW = 2_000_000_000


@pytest.fixture(scope="module")
def multi_server() -> Issued:
    names = {"host": "cucm-pub-ms.lab.example", "other": "cucm-sub.lab.example", "addresses": tuple(NODES.values())}
    return issue(load_profiles()["callmanager-multi"], names, None, datetime.now(UTC).replace(microsecond=0))


def keeper(pki: Lab, manager: Issued | None, *, defect: bool) -> ItlKeeper:
    keys = read_keys(pki, NODES, {})
    return ItlKeeper(shared_manager(keys, manager) if manager else keys, NOW, mixed=False, defect=defect)


@pytest.mark.parametrize(
    ("shared", "defect", "resets"),
    [(True, True, 3), (True, False, 0), (False, True, 0), (False, False, 0)],
    ids=["multi-server, defect", "multi-server, fixed release", "single certificates, defect", "single, fixed"],
)
def test_only_both_together_make_the_list_anew(
    pki: Lab, multi_server: Issued, shared: bool, defect: bool, resets: int
) -> None:
    itl = keeper(pki, multi_server if shared else None, defect=defect)
    seen = {itl.current}
    looks = [itl.refresh(NOW + 600 * look) for look in (1, 2, 3)]
    seen.add(itl.current)
    assert sum(look.changed for look in looks) == resets
    assert (len(seen) == 2) is bool(resets)
    assert all(("CSCup28852" in look.why) is look.changed for look in looks)


def test_a_certificate_that_did_change_is_found_by_every_release(pki: Lab, multi_server: Issued) -> None:
    itl = keeper(pki, None, defect=False)
    itl.keys = shared_manager(itl.keys, multi_server)
    first = itl.refresh(NOW)
    assert first.changed
    assert "is not the one that is listed" in first.why
    assert read_list(itl.current).header.timestamp == NOW + 1  # never the same stamp twice
    assert not itl.refresh(NOW + 600).changed


async def test_phones_reset_at_every_refresh_and_the_log_says_why(
    pki: Lab, multi_server: Issued, tmp_path: Path
) -> None:
    host = NODES[PUBLISHER]
    settings = CucmSettings(
        nodes=(host,),
        users={"1001": PASSWORD},
        ports={Transport.UDP: SIP_PORTS[0], Transport.TCP: SIP_PORTS[0], Transport.TLS: SIP_PORTS[1]},
        reuse=True,
    )
    cucm = VirtualCucm(settings, Pacer())
    await cucm.start()
    async with Plant(pki, tmp_path, mixed=False, multi_server=multi_server, defect=True) as plant:
        asked: list[asyncio.Task[int]] = []
        plant.cluster.on_reset = lambda: asked.append(asyncio.create_task(cucm.control("1001", "reset")))
        station = plant.station()
        phone = PoweredPhone(station.settings, station.flash, station.downloader, Pacer())
        await phone.power_on()
        for count in (1, 2):
            plant.cluster.refresh()
            assert await phone.obey() == "reset"
            assert phone.resets == count
        assert [await task for task in asked] == [200, 200]
        assert [line.text for line in phone.diary.of("reset")] == ["the cluster says reset"] * 2
        why = [line for line in plant.log if "phones reset" in line]
        assert len(why) == 2
        assert all(
            "cucm-pub-ms.lab.example" in line and "(multi-server)" in line and "CSCup28852" in line for line in why
        )
        assert "the one that is held already" not in phone.diary.of("itl")[-1].text  # each time another list
        await phone.power_off()
    await cucm.close()


async def test_a_phone_obeys_nobody_who_does_not_know_its_registration(pki: Lab, tmp_path: Path) -> None:
    host = NODES[PUBLISHER]
    ports = {Transport.UDP: SIP_PORTS[0], Transport.TCP: SIP_PORTS[0], Transport.TLS: SIP_PORTS[1]}
    settings = CucmSettings(nodes=(host,), users={"1001": PASSWORD}, ports=ports, reuse=True)
    cucm = VirtualCucm(settings, Pacer())
    await cucm.start()
    async with Plant(pki, tmp_path, mixed=False) as plant:
        station = plant.station()
        phone = PoweredPhone(station.settings, station.flash, station.downloader, Pacer())
        await phone.power_on()
        cucm.registrar.bindings["1001"].call_id = "another"
        assert await cucm.control("1001", "reset") == 400
        assert phone.phone is not None
        assert phone.phone.controls.empty()
        with pytest.raises(LookupError):
            await cucm.control("1002", "reset")
        await phone.power_off()
        with pytest.raises(NoAnswer):
            await cucm.control("1001", "reset")
    await cucm.close()
