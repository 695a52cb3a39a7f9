"""Another codec or another packet period on either leg: each end says a tone in its own words and hears the other's."""

from __future__ import annotations

from cubeproxy.media.transcoders.words import Capability
from cubeproxy.protocols.values import Codec
from tests.behaviour.transcoders.members import Member
from tests.behaviour.transcoders.rows import needs, row
from tests.media.phones import key

G729 = Codec("g729", 8000)


@needs(Capability.CODECS)
@row
async def test_srtp_in_g729_and_rtp_in_g711(member: Member) -> None:
    async with member.bench() as bench:
        phone = bench.caller(0, ours=key(1), theirs=key(2), codec=G729, payload_type=18)
        call = await bench.call(phone, bench.caller(1))
        await call.talk()
        assert {len(packet.payload) for packet in phone.heard} == {20}


@needs(Capability.CODECS)
@row
async def test_two_laws_of_g711(member: Member) -> None:
    async with member.bench() as bench:
        far = bench.caller(1, codec=Codec("pcma", 8000), payload_type=8)
        call = await bench.call(bench.caller(0, ours=key(1), theirs=key(2)), far)
        await call.talk()


@needs(Capability.CODECS)
@row
async def test_held_with_another_codec_and_resumed(member: Member) -> None:
    async with member.bench() as bench:
        phone = bench.caller(0, ours=key(1), theirs=key(2), codec=G729, payload_type=18)
        call = await bench.call(phone, bench.caller(1))
        call.negotiate(phone.spec(sends=False, receives=False), call.callers[1].spec(sends=False, receives=False))
        await call.silent(0)
        call.negotiate()
        await call.flows()
        await call.talk()


@needs(Capability.PACKETISATION, Capability.CODECS)
@row
async def test_packets_of_20_ms_and_of_30_ms(member: Member) -> None:
    async with member.bench() as bench:
        far = bench.caller(1, ptime=30)
        call = await bench.call(bench.caller(0, ours=key(1), theirs=key(2)), far)
        await call.talk()
        assert {len(packet.payload) for packet in call.callers[0].heard} == {160}
        assert {len(packet.payload) for packet in far.heard} == {240}
