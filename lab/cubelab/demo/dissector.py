"""A second opinion on the captures by a program that is not ours: tshark, where it is installed."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from cubelab.demo.observations import Dissected

TOOL = "tshark"
PATIENCE = 20.0  # s


@dataclass(slots=True, frozen=True)
class Subject:
    """What a capture is to hold: tshark's word for its protocol, its field that is there once a unit, its options."""

    name: str
    field: str
    options: tuple[str, ...]


RTP = Subject("RTP", "rtp.version", ("--enable-heuristic", "rtp_udp"))
SKINNY = Subject("SCCP messages", "skinny.messageId", ("-d", "tcp.port==2000,skinny"))


async def dissect(capture: Path, units: int, subject: Subject) -> Dissected | None:
    """What tshark takes the packets for; None when it is not installed or does not finish."""
    program = shutil.which(TOOL)
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program,
        *("-n", "-r", str(capture), *subject.options, "-T", "fields", "-e", "frame.protocols", "-e", subject.field),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    rows = [row.split("\t") for row in output.decode().splitlines()]
    found = sum(len(values.split(",")) for _, values in rows if values)
    malformed = sum("_ws.malformed" in protocols.split(":") for protocols, _ in rows)
    return Dissected(capture.name, units, found, malformed, subject.name)
