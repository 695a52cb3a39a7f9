"""Taken out of service: no new call, and those in progress do not notice."""

from __future__ import annotations

from cubeproxy.media.transcoders.words import Capability
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row
from tests.waiting import until


@needs(Capability.DRAIN)
@row
async def test_a_call_goes_on_while_its_carrier_drains(member: Member) -> None:
    async with member.bench() as bench:
        call = await bench.call()
        await member.drain(bench)
        await bench.refusal()
        await call.talk()
        call.release()
        await until(lambda: member.carried(bench) == 0)
