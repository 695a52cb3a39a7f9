"""Workers with codecs beside the others: when they are started, and what is lost when one dies."""

from __future__ import annotations

import os
import signal
import socket

import numpy as np
import pytest

from cubeproxy.media.codecs import table
from cubeproxy.protocols.values import Codec, MediaLost, MediaReserved, Need, ReleaseMedia, ReserveMedia, UpdateMedia
from cubeproxy.server import media
from tests.media.coding.conftest import missing
from tests.media.coding.ends import judge
from tests.media.coding.signals import pcm, peak_of, tone
from tests.server.media_lab import Call, Exchange, live, running

LOCAL = ("127.0.72.1", "127.0.72.2")
G729 = Codec("g729", 8000)
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


async def call(lab: Exchange, ticket: int = 1) -> Call:
    """PCMU on leg 0, G.729 on leg 1."""
    lab.service.handle(ReserveMedia(ticket, "call", LOCAL, Need.CRYPTO, transcodes=True))
    reserved = await lab.event()
    assert isinstance(reserved, MediaReserved), reserved
    first, second = lab.station("127.0.72.3"), lab.station("127.0.72.4")
    made = Call(lab.service, reserved, first, second)
    made.negotiate(first.spec(), second.spec(codec=G729, payload_type=18))
    return made


def hears_a_tone(made: Call) -> None:
    """Leg 1 hears in G.729 what leg 0 says in G.711. What was said before the worker ran waits in its socket."""
    first, second = made.stations
    encoder, (decode, _) = table.encoder(Codec("pcmu", 8000), 20), judge("g729")
    said = tone(8000, 1, 620)
    for at in range(0, len(said), 160):
        first.send(made.local[0], encoder.encode(pcm(said[at : at + 160])))
    heard = np.concatenate([decode(second.receive().payload) for _ in range(49)])
    frequency, *_ = peak_of(heard[3000:7000], 8000)
    assert frequency == pytest.approx(620, abs=3)


@live
async def test_a_worker_with_codecs_is_started_for_the_first_session_that_needs_one() -> None:
    async with running() as lab:
        before = dict(lab.service.workers)
        made = await call(lab)
        assert len(lab.service.workers) == len(before) + 1
        hears_a_tone(made)
        hears_a_tone(await call(lab, 2))
        assert len(lab.service.workers) == len(before) + 1


@live
async def test_a_worker_with_codecs_that_dies_takes_only_its_own_sessions() -> None:
    async with running() as lab:
        relayed = await lab.call()
        before = set(lab.service.workers)
        made = await call(lab)
        (coder,) = lab.service.workers.keys() - before
        hears_a_tone(made)
        os.kill(lab.service.workers[coder], signal.SIGKILL)
        lost = await lab.event()
        assert isinstance(lost, MediaLost)
        assert lost.session == made.session
        relayed.talk()
        hears_a_tone(await call(lab, 3))


@live
async def test_a_session_that_needs_no_codec_after_all_is_relayed_by_the_others() -> None:
    async with running() as lab:
        before = dict(lab.service.workers)
        lab.service.handle(ReserveMedia(1, "call", LOCAL, Need.CRYPTO, transcodes=True))
        reserved = await lab.event()
        assert isinstance(reserved, MediaReserved)
        stations = lab.station("127.0.72.3"), lab.station("127.0.72.4")
        made = Call(lab.service, reserved, *stations)
        lab.service.handle(UpdateMedia(made.session, (stations[0].spec(), stations[1].spec())))
        made.talk()
        assert lab.service.workers == before


@live
async def test_what_is_commanded_after_the_end_is_nothing() -> None:
    async with running() as lab:
        relayed = await lab.call()
        lab.service.handle(ReserveMedia(2, "call", LOCAL, Need.CRYPTO, transcodes=True))
        waiting = await lab.event()
        assert isinstance(waiting, MediaReserved)
        await lab.service.close()
        stations = lab.station("127.0.72.3"), lab.station("127.0.72.4")
        legs = stations[0].spec(), stations[1].spec(codec=G729, payload_type=18)
        lab.service.handle(UpdateMedia(waiting.session, legs))
        for session in (relayed.session, waiting.session):
            lab.service.handle(ReleaseMedia(session))
        assert not lab.service.workers


@live
async def test_a_session_that_no_worker_can_carry_ends_and_keeps_no_socket() -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(media, "SLOTS", 1)
        async with running() as lab:
            hears_a_tone(await call(lab))
            second = await call(lab, 2)
            text = "every media worker that could carry it is full"
            assert await lab.event() == MediaLost(second.session, text, "engine-full")
            for address in second.local:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(address)
