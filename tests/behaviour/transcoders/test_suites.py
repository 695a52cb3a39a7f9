"""The suite of a secure leg, and two secure legs of one call."""

from __future__ import annotations

import pytest

from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.suites import Suite
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row
from tests.media.phones import key


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
async def test_each_leg_has_keys_and_a_suite_of_its_own(member: Member) -> None:
    async with member.bench() as bench:
        phone = bench.caller(0, ours=key(1), theirs=key(2))
        short = Suite.AES_CM_128_HMAC_SHA1_32
        cluster = bench.caller(1, ours=key(3, short), theirs=key(4, short))
        call = await bench.call(phone, cluster)
        await call.talk()
