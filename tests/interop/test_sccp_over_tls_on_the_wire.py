"""SCCP over TLS as tshark sees it: with the keys of TLS every message, without them nothing, the call's keys least."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from pathlib import Path

from cubeproxy.protocols.sccp.registry import MESSAGES
from cubeproxy.protocols.values import ReleaseMedia
from cubeproxy.transport.tls import open_keylog
from tests.interop.programs.process import require, running, until
from tests.interop.programs.tshark import Capture
from tests.media.phones import key
from tests.server.farm_hosts import CUBE_HOST, registering, serving
from tests.server.test_farms_on_other_hosts import all_in, hosts
from tests.server.test_transcoding import flowing, talk

UNREGISTER, UNREGISTERED = 0x27, 0x118
NUMBERS = {kind.__name__: number for number, kind in MESSAGES.items()}


async def life(folder: Path, keys: Path) -> Counter[int]:
    """A farm registers and carries a call: what the call manager counted, by message number."""
    with open_keylog(keys) as keylog:
        async with serving(folder / "cube", "FARM1", keylog=keylog) as box, registering(hosts(folder, 2)) as farms:
            await all_in(farms, box)
            pool = box.service.pool.farms
            assert pool is not None
            (farm,) = pool.farms.values()
            reserved, phones = await box.call()
            await flowing(box, reserved, phones)
            await talk(reserved, phones)
            box.service.handle(ReleaseMedia(reserved.session))
            counted = Counter(farm.server.counters.received) + Counter(farm.server.counters.sent)
    return Counter({NUMBERS[name]: count for name, count in counted.items()})


def dissected(capture: Path, *fields: str, keys: Path | None = None, only: str = "skinny") -> list[list[str]]:
    options = ["-o", f"tls.keylog_file:{keys}"] if keys else []
    command = [require("tshark"), "-n", "-r", str(capture), *options, "-Y", only, "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def seen(capture: Path, keys: Path | None) -> Counter[int]:
    rows = dissected(capture, "skinny.messageId", keys=keys)
    found = Counter(int(number, 0) for (numbers,) in rows for number in numbers.split(",") if number)
    del found[UNREGISTER], found[UNREGISTERED]  # sent after the count was taken, and answered or not
    return found


def test_every_message_is_a_record_of_tls(folder: Path) -> None:
    keys = folder / "tls.keys"
    capture = Capture(folder / "capture", f"tcp port 2443 and host {CUBE_HOST}")
    with running(capture):
        counted = asyncio.run(life(folder, keys))
        until("tshark and the call manager count the same", lambda: agreed(capture.file, keys, counted))
    assert {0x1, 0x81, 0x9B, 0x10, 0x105, 0x22, 0x8A, 0x154, 0x106, 0x8B} <= set(counted)
    assert dissected(capture.file, "frame.number", keys=keys, only="_ws.malformed || _ws.short") == []
    assert seen(capture.file, None) == Counter()
    told = {octets(text) for (text,) in dissected(capture.file, "skinny.key", keys=keys, only="skinny.key")}
    assert told == {key(number).master[:16] for number in (1, 2)}  # those of the call
    assert not any(one in capture.file.read_bytes() for one in told)


def octets(text: str) -> bytes:
    return bytes(int(octet, 0) for octet in text.split(","))


def agreed(capture: Path, keys: Path, counted: Counter[int]) -> bool:
    """A capture is written with some delay."""
    found = seen(capture, keys) if capture.stat().st_size else Counter()
    print(f"counted {dict(counted)}, tshark {dict(found)}")
    return found == counted
