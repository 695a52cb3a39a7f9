"""A lost farm's call on real sockets, where no other farm is and the local worker has room."""

from __future__ import annotations

import asyncio

from cubeproxy.media.transcoders.sccp import SccpFarms
from cubeproxy.protocols.values import MediaMoved, MediaReserved, ReleaseMedia, UpdateMedia
from tests.media.phones import inbound, key
from tests.server.media_lab import live
from tests.server.test_transcoding import Box, farm, flowing, router, running, talk


@live
async def test_the_call_is_heard_again_beyond_two_wraps_of_a_phone_that_keeps_its_key() -> None:
    async with running(router("CUBE", maximum_sessions=1)) as box:
        beside = router()
        beside.sccp.ccms[0].port = box.address[1]
        async with farm(Box(beside, box.service, box.events, box.reports, [])):
            local = await box.reserve()
            assert isinstance(local, MediaReserved)
            reserved, phones = await box.call()
            box.service.handle(ReleaseMedia(local.session))
            await flowing(box, reserved, phones)
            for _ in range(8):
                phones[0].rtp.sendto(phones[0].say(step=0x4000), reserved.local[0])
            await flowing(box, reserved, phones)
        assert await box.event() == MediaMoved(reserved.session, "DSP farm lost: unregistered")
        phones[0].theirs, phones[0]._in = key(4), inbound(key(4))
        box.service.handle(UpdateMedia(reserved.session, (phones[0].spec(), phones[1].spec())))
        await flowing(box, reserved, phones)
        await asyncio.wait_for(talk(reserved, phones), 10)
        assert box.service.pool.sessions == 1
        assert isinstance(box.service.pool.farms, SccpFarms)
        assert not box.service.pool.farms.sessions
