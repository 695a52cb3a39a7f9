"""A DSP farm on a host of its own: registered over mutual TLS, with certificates that were carried across by hand."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from cubelab import data
from tests.behaviour.farm import FarmProcess
from tests.behaviour.stage import Stage, over
from tests.behaviour.test_dsp_farm import IOS, assert_not_configured, changed, refused
from tests.waiting import until

CALL_MANAGER = (
    ("crypto pki trustpoint CUBE_SS\n",
     "crypto pki trustpoint FARM_HOST\n enrollment terminal\n!\ncrypto pki trustpoint CUBE_SS\n"),
    (" sdspfarm units 1\n", " secure-signaling trustpoint CUBE_SS\n sdspfarm units 2\n"),
    (" sdspfarm tag 1 CUBEXCODE\n", " sdspfarm tag 1 CUBEXCODE\n sdspfarm tag 2 ELSEWHERE\n"),
)  # fmt: skip


def pki(*words: str | Path) -> None:
    """`cubeproxy pki ...`."""
    command = [sys.executable, "-m", "cubeproxy.cli.main", "pki", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def farm_config(folder: Path, stage: Stage, host: str) -> Path:
    """The sample's farm, on a host with one address, with TLS as the vendor has it by default."""
    lines = data.config(IOS).read_text()
    for old, new in (
        ("register CUBEXCODE", "register ELSEWHERE"),
        (" no tls\n", ""),
        ("ip address 198.51.100.1 255.255.255.0", f"ip address {host} 255.255.255.0"),
        (" trustpoint CUBE_SS\n codec", " trustpoint FARM_HOST\n codec"),
        ("crypto pki trustpoint CUBE_SS\n", "crypto pki trustpoint FARM_HOST\n!\ncrypto pki trustpoint CUBE_SS\n"),
    ):
        lines = lines.replace(old, new)
    path = folder / "farm.ios"
    path.write_text(lines.replace(" no tls\n", ""))
    return path


def test_a_call_goes_over_a_farm_that_is_elsewhere(tmp_path: Path) -> None:
    async def run() -> None:
        given = changed(tmp_path, *CALL_MANAGER)
        nvram, theirs = tmp_path / "nvram", tmp_path / "farm-nvram"
        async with Stage(tmp_path, config=str(given)) as stage:
            host = stage.network.phone(200)
            pki("self-signed", "FARM_HOST", "--nvram", theirs)
            pki("authenticate", "CUBE_SS", "--ca", nvram / "CUBE_SS" / "cert.pem", "--nvram", theirs, "--yes")
            config = farm_config(tmp_path, stage, host)
            async with FarmProcess(stage, "--nvram", str(theirs), config=config, registers=False) as farm:
                await until(lambda: "no trustpoint has it" in stage.log.read_text())
                await until(lambda: "does not trust our certificate" in farm.log.read_text())
                assert_not_configured(*await refused(stage))
                await farm.stop()
            pki("authenticate", "FARM_HOST", "--ca", theirs / "FARM_HOST" / "cert.pem", "--nvram", nvram, "--yes")
            stage.signal(signal.SIGHUP)
            await until(lambda: "trust.changed" in stage.log.read_text())
            async with FarmProcess(stage, "--nvram", str(theirs), config=config) as farm:
                call, far = await stage.call()
                assert call.voice.counters.received > 10
                shown = await stage.proxy.show("sdspfarm units")
                assert f"IP:{host}" in shown
                assert "mtp-2 Device:ELSEWHERE" in shown
                assert "REGISTERED" in shown
                assert "session(s) 1, and connection(s) 2" in await stage.proxy.show("sccp connections")
                await call.hang_up()
                await until(lambda: over(far))
                pki("delete", "FARM_HOST", "--nvram", nvram, "--yes")
                stage.signal(signal.SIGHUP)
                await until(lambda: "sccp.farm.lost" in stage.log.read_text())
                assert_not_configured(*await refused(stage))

    asyncio.run(run())
