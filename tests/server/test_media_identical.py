"""The same calls through every back end: the same payloads come out, octet by octet, and under the same numbers."""

from __future__ import annotations

import asyncio
import os
import random
from unittest import mock

import pytest

from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import MediaReserved
from cubeproxy.server.media_engine import choose
from tests.media import builds
from tests.media.phones import key

from .media_lab import LOCAL, Call, Exchange, Station, running

ENGINES = ("python", "epoll", "io_uring")
Row = tuple[bytes, int, bool, int, int]  # payload, payload type, marker, sequence and timestamp from the first one on


def script(seed: int) -> list[tuple[int, bytes, dict[str, int | bool]]]:
    """Who says what: voice of many lengths, DTMF, comfort noise, markers, loss, extensions and padding."""
    source = random.Random(seed)
    turns: list[tuple[int, bytes, dict[str, int | bool]]] = []
    for _ in range(150):
        leg, payload = source.randrange(2), source.randbytes(source.choice((1, 20, 80, 160, 240, 1200)))
        kind = source.choices(({}, {"payload_type": 101}, {"payload_type": 13}), (8, 1, 1))[0]
        options: dict[str, int | bool] = dict(kind)
        options |= {"marker": source.random() < 0.1, "step": source.choice((1, 1, 1, 1, 2, 5))}
        if source.random() < 0.1:
            payload, options["first"] = payload + b"\x00\x00\x03", 0xA0
        turns.append((leg, payload, options))
    return turns


async def established(lab: Exchange, access: Suite | None, core: Suite | None) -> Call:
    reserved = await lab.ask(LOCAL)
    assert isinstance(reserved, MediaReserved)
    keys = [(key(1, access), key(2, access)) if access else (None, None)]
    keys += [(key(3, core), key(4, core)) if core else (None, None)]
    stations = [lab.station(host, *pair) for host, pair in zip(("127.0.40.3", "127.0.40.4"), keys, strict=True)]
    for station, ssrc in zip(stations, (0x1111, 0x2222), strict=True):
        station.ssrc = ssrc
    call = Call(lab.service, reserved, stations[0], stations[1])
    call.negotiate(stations[0].spec(dtmf_payload_type=101), stations[1].spec(dtmf_payload_type=96))
    return call


async def carried(engine: str, access: Suite | None, core: Suite | None) -> list[list[Row]]:
    """What each end heard, in order."""
    async with running(engine=choose(engine)) as lab:
        call = await established(lab, access, core)
        heard: list[list[Row]] = [[], []]
        begins: list[tuple[int, int] | None] = [None, None]
        for leg, payload, options in script(7):
            _say(call.stations[leg], call, leg, payload, options)
            out = call.stations[1 - leg].receive()
            begin = begins[1 - leg] = begins[1 - leg] or (out.sequence, out.timestamp)
            numbers = (out.sequence - begin[0]) & 0xFFFF, (out.timestamp - begin[1]) & 0xFFFFFFFF
            heard[1 - leg].append((out.payload, out.payload_type, out.marker, *numbers))
        return heard


def _say(station: Station, call: Call, leg: int, payload: bytes, options: dict[str, int | bool]) -> None:
    named = dict(options)
    if named.get("payload_type") == 101 and leg == 1:
        named["payload_type"] = 96
    station.rtp.sendto(station.say(payload, **named), call.local[leg])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("access", "core"), [*((suite, None) for suite in Suite), (Suite.AEAD_AES_256_GCM, Suite.AES_CM_128_HMAC_SHA1_32)]
)
def test_every_back_end_carries_the_same(access: Suite | None, core: Suite | None) -> None:
    """SRTP to RTP, RTP to SRTP, and SRTP to SRTP under another suite; libsrtp opens what is protected."""
    if builds.missing():
        pytest.skip(builds.missing())
    native = builds.watch() | {"CUBEPROXY_MEDIA_WORKER": str(builds.worker())}
    results: dict[str, list[list[Row]]] = {}
    with mock.patch.dict(os.environ, native):
        for engine in ENGINES:
            try:
                results[engine] = asyncio.run(carried(engine, access, core))
            except ConfigError as error:
                if engine != "io_uring":
                    raise
                pytest.skip(str(error))
    spoken = [[turn[1] for turn in script(7) if turn[0] == leg] for leg in (0, 1)]
    said = [
        [_bare(payload, spoken[leg][place]) for place, (payload, *_) in enumerate(results["python"][1 - leg])]
        for leg in (0, 1)
    ]
    assert all(all(each) for each in said), "what was said is what is heard"
    assert results["epoll"] == results["python"]
    assert results["io_uring"] == results["python"]
    assert not builds.found()


def _bare(heard: bytes, spoken: bytes) -> bool:
    return heard in (spoken, spoken[:-3])  # padding stays behind
