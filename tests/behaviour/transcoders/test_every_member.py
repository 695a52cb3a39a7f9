"""What no member may leave out: audio, refusal, capacity, re-key, hold, release. No row here has a condition."""

from __future__ import annotations

from dataclasses import replace

from cubeproxy.protocols.values import MediaReserved
from tests.behaviour.transcoders.callers import converse
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import row
from tests.media.phones import key
from tests.waiting import until


@row
async def test_each_end_hears_what_the_other_says(member: Member) -> None:
    async with member.bench() as bench:
        call = await bench.call()
        await call.talk()
        assert member.carried(bench) == 1


@row
async def test_without_anyone_to_carry_it_a_call_is_refused(member: Member) -> None:
    async with member.service(sessions=8 if member.carriers else 0) as bench:
        assert (await bench.refusal()).cause == "no-transcoder"
        assert bench.service.sessions == 0


@row
async def test_one_call_too_many_is_refused_and_the_other_goes_on(member: Member) -> None:
    async with member.bench(sessions=1) as bench:
        call = await bench.call()
        assert (await bench.refusal()).cause == "pool-full"
        capacity = bench.member.capacity()
        assert (capacity.sessions, capacity.in_use) == (1, 1)
        await call.talk()


@row
async def test_a_new_key_in_the_middle_of_a_call(member: Member) -> None:
    """Both directions get new keys, ports stay (RFC 4568 7.1.4)."""
    async with member.bench() as bench:
        call = await bench.call()
        await call.talk()
        call.callers[0].use(key(3), key(4))
        call.negotiate()
        await call.flows()
        await call.talk()
        assert member.carried(bench) == 1


@row
async def test_a_new_key_of_one_side_only(member: Member) -> None:
    """A phone that re-keys what it sends; what it hears goes on under the key before, its counters with it."""
    async with member.bench() as bench:
        call = await bench.call()
        phone = call.callers[0]
        await call.talk()
        phone.change_own_key(key(3))
        call.negotiate()
        await call.flows()
        await call.talk()


@row
async def test_a_held_call_is_silent_towards_the_held_end_and_comes_back(member: Member) -> None:
    """`sendonly` from the phone: it hears nothing, and what it says still arrives."""
    async with member.bench() as bench:
        call = await bench.call()
        phone, far = call.callers
        call.negotiate(replace(phone.spec(), sends=False), replace(far.spec(), receives=False))
        await call.silent(0)
        await converse(call.callers, call.local)
        assert phone.heard == []
        assert far.hearing().frequency == phone.says
        call.negotiate()
        await call.flows()
        await call.talk()


@row
async def test_a_released_call_gives_everything_back(member: Member) -> None:
    async with member.bench(sessions=1) as bench:
        for _ in range(3):
            call = await bench.call()
            await call.talk()
            call.release()
            await until(lambda: member.carried(bench) == 0)
            assert bench.service.sessions == 0
            assert bench.member.capacity().in_use == 0
        assert isinstance(await bench.reserve(), MediaReserved)
