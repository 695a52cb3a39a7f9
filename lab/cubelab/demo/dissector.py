"""A second opinion on the captures by a program that is not ours: tshark, where it is installed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from cubelab.demo.observations import Dissected

TOOL = "tshark"
PATIENCE = 20.0  # s


async def dissect(capture: Path, packets: int) -> Dissected | None:
    """What tshark takes the packets for; None when it is not installed or does not finish."""
    program = shutil.which(TOOL)
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program,
        *("-n", "-r", str(capture), "--enable-heuristic", "rtp_udp", "-T", "fields", "-e", "frame.protocols"),
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
    rows = [row.split(":") for row in output.decode().split()]
    rtp = sum("rtp" in row for row in rows)
    return Dissected(capture.name, packets, rtp, sum("_ws.malformed" in row for row in rows))
