"""RTCP: each end is told about its own stream, under its own protection."""

from __future__ import annotations

import asyncio

from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.rtcp import Report, SenderReport
from tests.behaviour.transcoders.bench import Call
from tests.behaviour.transcoders.callers import Caller, converse
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row


async def told(caller: Caller) -> list[Report]:
    """The next report; a compound that does not verify under this end's key is an error."""
    return caller.told(await asyncio.get_running_loop().sock_recv(caller.rtcp, 2048))


async def reporting(call: Call) -> None:
    """Both talk and tell, until cancelled."""
    while True:
        await converse(call.callers, call.local, 10)
        for caller, (host, port) in zip(call.callers, call.local, strict=True):
            caller.rtcp.sendto(caller.tell(caller.report()), (host, port + 1))


@needs(Capability.REPORTS)
@row
async def test_each_end_gets_reports_that_it_can_verify(member: Member) -> None:
    async with member.bench(reports=0.3) as bench:
        call = await bench.call()
        talking = asyncio.ensure_future(reporting(call))
        try:
            async with asyncio.timeout(10):
                reports = await asyncio.gather(*(told(caller) for caller in call.callers))
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        await converse(call.callers, call.local, 10)
        for caller, of_caller in zip(call.callers, reports, strict=True):
            first = of_caller[0]
            assert isinstance(first, SenderReport)
            assert first.ssrc == caller.heard[-1].ssrc  # of the stream that this end hears
