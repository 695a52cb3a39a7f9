"""`--rtcp terminate`: a phone gets reports of its own leg, as SRTCP, and none of the other. The default is silence."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from cubelab.agent.voice_call import VoiceCall
from cubeproxy.protocols.rtcp import SenderReport, SourceDescription, parse
from cubeproxy.protocols.srtp import SrtpReceiver
from tests.behaviour.stage import Stage

FIRST_REPORT = 3.2  # s: half of one and a half intervals over e - 3/2, and a tick
DELAY = 0.5  # s


def port_beside(call: VoiceCall) -> socket.socket:
    """Where a phone's reports arrive: the lab's phone leaves the port next to that of its voice free."""
    host, port = call.voice.address
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port + 1))
    sock.setblocking(False)
    return sock


async def arrives(sock: socket.socket, within: float) -> bytes | None:
    try:
        async with asyncio.timeout(within):
            return await asyncio.get_running_loop().sock_recv(sock, 2048)
    except TimeoutError:
        return None


@pytest.mark.parametrize("engine", ["auto", "python"])
def test_each_leg_is_told_about_itself(tmp_path: Path, engine: str) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, "--rtcp", "terminate", "--media", engine) as stage:
            call, far = await stage.call()
            with port_beside(call) as secure, port_beside(far) as clear:
                protected = await arrives(secure, FIRST_REPORT + DELAY * 10)
                plain = await arrives(clear, FIRST_REPORT + DELAY * 10)
            assert protected is not None
            assert plain is not None
            session = call.session
            assert session is not None
            assert session.receive_key is not None
            told = []
            for compound in (SrtpReceiver(session.receive_key).unprotect_rtcp(protected), plain):
                report, name = parse(compound)
                assert isinstance(report, SenderReport)
                assert isinstance(name, SourceDescription)
                assert report.packets > 10
                assert len(report.blocks) == 1
                told.append((report.ssrc, report.blocks[0].ssrc, name.cname))
            assert len({value for row in told for value in row}) == 6, "nothing of one leg stands in the other's"
            await call.hang_up()

    asyncio.run(scene())


def test_by_default_nothing_is_told(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stage(tmp_path) as stage:
            call, far = await stage.call()
            with port_beside(call) as secure, port_beside(far) as clear:
                assert await arrives(secure, FIRST_REPORT) is None
                assert await arrives(clear, 0.01) is None
            await call.hang_up()

    asyncio.run(scene())
