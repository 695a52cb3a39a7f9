"""`--legacy-tls` serves old phones on the access side; without it nothing below TLS 1.2 is spoken."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.behaviour.stage import Stage


def spoken(host: str, folder: Path) -> str:
    """The protocol that openssl agrees on when it offers nothing above TLS 1.0, "" when refused."""
    phone = folder / "nvram" / "phones" / "SEP001122334455"
    done = subprocess.run(
        [
            "openssl", "s_client", "-connect", f"{host}:5061", "-tls1", "-cipher", "ALL:@SECLEVEL=0",
            "-cert", str(phone / "cert.pem"), "-key", str(phone / "key.pem"),
        ],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )  # fmt: skip
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    agreed = [line for line in lines if line.startswith("New, TLS") or line.strip().startswith("Protocol  : TLSv1")]
    refused = any("Cipher is (NONE)" in line for line in lines)
    return "" if refused or not agreed else "TLSv1"


@pytest.mark.parametrize(("arguments", "access"), [((), ""), (("--legacy-tls",), "TLSv1")])
def test_the_access_side_speaks_it_when_asked(tmp_path: Path, arguments: tuple[str, ...], access: str) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, *arguments) as stage:
            assert await asyncio.to_thread(spoken, stage.network.access, tmp_path) == access

    asyncio.run(scene())
