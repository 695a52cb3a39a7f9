"""What carried a call is gone, and something else of the same member takes it: the call is heard again."""

from __future__ import annotations

import asyncio

import pytest

from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.values import MediaLost, MediaMoved
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row
from tests.media.phones import key

KEEPS, CHANGES = "keeps its key", "changes it"


@pytest.mark.parametrize(("phone_does", "wraps"), [(KEEPS, 0), (CHANGES, 0), (CHANGES, 2)])
@needs(Capability.REHOMING)
@row
async def test_a_call_is_heard_again_once_it_has_a_new_key(member: Member, phone_does: str, wraps: int) -> None:
    await lost_and_heard_again(member, phone_does, wraps)


@needs(Capability.REHOMING, Capability.JOINS)
@row
async def test_a_call_beyond_two_wraps_is_heard_again_under_the_key_that_it_has(member: Member) -> None:
    await lost_and_heard_again(member, KEEPS, 2)


async def lost_and_heard_again(member: Member, phone_does: str, wraps: int) -> None:
    async with member.bench() as bench, member.another(bench):
        call = await bench.call()
        phone = call.callers[0]
        await phone.skip(wraps * 65_536, call.local[0], call.callers[1])
        await call.talk()
        await member.lose(bench)
        moved = await bench.event()
        assert isinstance(moved, MediaMoved)
        assert moved.session == call.session
        call.negotiate()
        await call.silent(0)  # the old key is used up
        phone.change_far_key(key(4))
        if phone_does == CHANGES:
            phone.change_own_key(key(3))
        call.negotiate()
        await call.flows()
        await call.talk()
        call.release()
        await asyncio.sleep(0)
        assert bench.member.capacity().in_use == 0


@needs(Capability.REHOMING)
@row
async def test_a_call_that_finds_no_room_is_lost(member: Member) -> None:
    async with member.bench() as bench:
        call = await bench.call()
        await member.lose(bench)
        lost = await bench.event()
        assert isinstance(lost, MediaLost)
        assert (lost.session, lost.failure) == (call.session, "pool-full")
        assert bench.service.sessions == 0
