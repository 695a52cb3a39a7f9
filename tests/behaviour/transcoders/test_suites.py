"""The suite of a secure leg, and two secure legs of one call."""

from __future__ import annotations

import pytest

from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.suites import Suite
from tests.behaviour.transcoders.bench import Bench
from tests.behaviour.transcoders.callers import Caller
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row
from tests.media.phones import SHA1_80, key


async def talk_under(member: Member, suite: Suite) -> None:
    async with member.bench() as bench:
        phone = bench.caller(0, ours=key(1, suite), theirs=key(2, suite))
        call = await bench.call(phone, bench.caller(1))
        await call.talk()


@pytest.mark.parametrize("suite", [Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32])
@row
async def test_aes_cm_carries_audio(member: Member, suite: Suite) -> None:
    await talk_under(member, suite)


@needs(Capability.GCM_128)
@row
async def test_gcm_with_a_short_key_carries_audio(member: Member) -> None:
    await talk_under(member, Suite.AEAD_AES_128_GCM)


@needs(Capability.GCM_256)
@row
async def test_gcm_with_a_long_key_carries_audio(member: Member) -> None:
    await talk_under(member, Suite.AEAD_AES_256_GCM)


@needs(Capability.SECURE_BOTH)
@row
async def test_each_leg_has_keys_of_its_own(member: Member) -> None:
    await talk_between(member, SHA1_80, SHA1_80)


@needs(Capability.TWO_SUITES)
@row
async def test_each_leg_has_a_suite_of_its_own(member: Member) -> None:
    await talk_between(member, SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32)


@needs(Capability.SECURE_BOTH)
@row
async def test_one_of_two_secure_legs_gets_a_new_key(member: Member) -> None:
    """Its peer's; the other leg goes on under the keys that it has, on both sides of the box."""
    async with member.bench() as bench:
        call = await bench.call(*secure_ends(bench, SHA1_80, SHA1_80))
        await call.talk()
        call.callers[1].change_own_key(key(5))
        call.negotiate()
        await call.flows()
        await call.talk()


def secure_ends(bench: Bench, *suites: Suite) -> tuple[Caller, Caller]:
    first, second = suites
    return (
        bench.caller(0, ours=key(1, first), theirs=key(2, first)),
        bench.caller(1, ours=key(3, second), theirs=key(4, second)),
    )


async def talk_between(member: Member, *suites: Suite) -> None:
    async with member.bench() as bench:
        call = await bench.call(*secure_ends(bench, *suites))
        await call.talk()
