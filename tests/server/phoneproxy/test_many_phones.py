"""Many phones booting at once, within the session limit: all finish, nobody gets a wrong or a torn file."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import tracemalloc
from pathlib import Path

import pytest

from cubeproxy.protocols.tftp import Pace
from cubeproxy.protocols.trustlist import validate_list, validate_signed
from cubeproxy.server.phoneproxy.fetch import Fetcher, FetchFailed
from tests.phoneproxy.samples import CONFIG as SAMPLE
from tests.server.phoneproxy.bench import Bench
from tests.server.phoneproxy.test_files import RING
from tests.waiting import until

PATIENT = Pace(first=0.25, last=1.0, tries=20, session=120)
SESSIONS = 50


def device(number: int) -> str:
    return f"SEP{number:012X}"


def config(number: int) -> bytes:
    """Every phone's own: its number stands in it, and no two have the same length."""
    return SAMPLE.replace(b"<name>1001</name>", b"<name>%d</name><note>%s</note>" % (number, b"x" * (number % 997)))


async def boot(bench: Bench, number: int) -> int:
    """CTL, ITL, configuration and a ring tone, each by TFTP, asked for until it comes; the octets."""
    name = device(number)
    host = f"127.{bench.network.second}.{100 + number // 250}.{1 + number % 250}"
    client = Fetcher(bench.tftp[0], bench.tftp[1], host, PATIENT)

    async def get(file: str) -> bytes:
        while True:
            try:
                return await client.fetch(file)
            except FetchFailed as failed:  # no session was free all the time: a phone begins again
                if failed.cause != "no-answer":
                    raise

    try:
        ctl = validate_list(await get(f"CTL{name}.tlv"))
        itl = validate_list(await get(f"ITL{name}.tlv"), (ctl,))
        signed = await get(f"{name}.cnf.xml.sgn")
        payload = validate_signed(signed, (ctl, itl), f"{name}.cnf.xml.sgn").payload
        assert b"<name>%d</name><note>%s</note>" % (number, b"x" * (number % 997)) in payload
        assert await get("Chirp.raw") == RING
        return len(ctl.data) + len(itl.data) + len(signed) + len(RING)
    finally:
        await client.close()


def booted(nvram: Path, phones: int, sessions: int) -> dict[str, float]:
    async def scene() -> dict[str, float]:
        files = {f"{device(number)}.cnf.xml": config(number) for number in range(phones)}
        files["Chirp.raw"] = RING
        lines = f" max-concurrent-sessions {sessions}\n"
        async with Bench(nvram, files, lines=lines, head="voice-phone-proxy file-buffer size 10 aging 3600\n") as bench:
            await boot(bench, 0)
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            began, cpu = time.monotonic(), time.process_time()
            octets = sum(await asyncio.gather(*(boot(bench, number) for number in range(phones))))
            seconds, worked = time.monotonic() - began, time.process_time() - cpu
            bench.events.clear()
            gc.collect()
            after, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # phones that began again have left a request behind, to which nobody listens any more
            await until(lambda: not bench.instance.tftp.sessions, 20)
            return {
                "phones": phones,
                "sessions": sessions,
                "seconds": round(seconds, 2),
                "cpu_seconds_of_both_ends": round(worked, 2),
                "octets": octets,
                "dropped_requests": bench.instance.tftp.dropped,
                "memory_left_octets": after - before,
                "memory_peak_octets": peak - before,
            }

    return asyncio.run(scene())


def test_a_hundred_phones_on_fifty_sessions(nvram: Path) -> None:
    figures = booted(nvram, 100, SESSIONS)
    assert figures["memory_peak_octets"] < 100 * 400_000
    assert figures["memory_left_octets"] < 3_000_000


@pytest.mark.soak
def test_a_thousand_phones_on_the_default_sessions(nvram: Path, tmp_path: Path) -> None:
    figures = booted(nvram, 1000, 200)
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    print(json.dumps(figures))
    assert figures["memory_left_octets"] < 10_000_000
