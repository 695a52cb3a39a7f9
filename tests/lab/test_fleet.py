"""Phones as a load tool: outcomes are counted one by one."""

from __future__ import annotations

import asyncio

import pytest

from cubelab.phone.fleet import Fleet
from cubeproxy.protocols.values import Transport
from tests.lab.scene import PASSWORDS, Scene
from tests.waiting import until


@pytest.mark.parametrize("transport", [Transport.TLS, Transport.UDP])
def test_a_fleet_counts_what_went_well_and_what_did_not(lab_pki, transport):
    async def scene():
        async with Scene(lab_pki, transport) as lab:
            fleet = Fleet([await lab.phone(index, record=False, says=440) for index in (1, 2, 3)])
            assert (await fleet.register(rate=200)).succeeded == len(PASSWORDS)
            lab.cucm.settings.voice = fleet.phones[0].settings.voice
            tally = await fleet.call(lambda n: "3001" if n % 5 else "4444", count=10, rate=100, hold=0.3)
            assert (tally.succeeded, dict(tally.failures)) == (8, {"404 Not Found": 2})
            assert fleet.peak >= 3
            await fleet.unregister()
            assert lab.cucm.registrar.bindings == {}
            await until(lambda: not lab.cucm.legs)

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_a_call_that_the_far_end_cuts_short_is_a_failure(lab_pki):
    async def scene():
        async with Scene(lab_pki, Transport.UDP) as lab:
            fleet = Fleet([await lab.phone(1)])
            lab.cucm.settings.voice = fleet.phones[0].settings.voice
            await fleet.register()
            calling = asyncio.create_task(fleet.call(lambda _: "3001", count=1, rate=100, hold=20))
            await until(lambda: bool(lab.cucm.calls) and lab.cucm.calls[0].up.done())
            await lab.cucm.calls[0].hang_up()
            tally = await calling
            assert dict(tally.failures) == {"ended early: BYE from the far end": 1}

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_a_refused_registration_is_counted_by_its_reason(lab_pki):
    async def scene():
        async with Scene(lab_pki, Transport.UDP) as lab:
            fleet = Fleet([await lab.phone(1), await lab.phone(2, password="guess")])
            tally = await fleet.register(rate=200)
            assert (tally.succeeded, dict(tally.failures)) == (1, {"401 Unauthorized": 1})

    asyncio.run(asyncio.wait_for(scene(), 30))
