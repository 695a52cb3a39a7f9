"""What a user gets wrong at `cubelab`: a line that names it, and nothing is harmed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cubelab.audio.tones import tone
from cubelab.cli.phone import heard

CUBELAB = [sys.executable, "-m", "cubelab.cli.main"]


def cubelab(*words: str) -> tuple[int, str]:
    done = subprocess.run([*CUBELAB, *words], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["pki", "init", "/dev/null/x"], "/dev/null/x"),
        (["pki", "init", "{folder}/new", "--address", "nonsense"], "nonsense"),
        (["phone", "1001", "--proxy", "127.99.5.1", "--pki", "{folder}/none"], "cert.pem"),
        (["phone", "1001", "--proxy", "127.99.5.1", "--access", "cler"], "cler"),
        (["cucm", "--user", "1001=a", "--node", "192.0.2.7"], "Cannot assign requested address"),
        (["cucm", "--user", "1001=a", "--reject", "1000"], "--reject"),
        (["eavesdrop", "/bin/sh"], "/bin/sh"),
        (["demo", "--out", "/dev/null/x"], "/dev/null/x"),
    ],
)
def test_one_line_names_what_is_wrong(words: list[str], named: str, tmp_path: Path) -> None:
    code, text = cubelab(*(word.format(folder=tmp_path) for word in words))
    assert code in (1, 2)
    assert named in text
    assert "Traceback" not in text


def test_keys_that_are_there_are_replaced_by_force_alone(tmp_path: Path) -> None:
    folder = tmp_path / "nvram"
    assert cubelab("pki", "init", str(folder))[0] == 0
    key = (folder / "CUBE_SS" / "key.pem").read_bytes()
    code, text = cubelab("pki", "init", str(folder))
    assert code == 1
    assert "--force" in text
    assert (folder / "CUBE_SS" / "key.pem").read_bytes() == key
    assert cubelab("pki", "init", str(folder), "--force")[0] == 0
    assert (folder / "CUBE_SS" / "key.pem").read_bytes() != key


def test_a_tone_that_is_none_of_the_labs_is_not_called_another() -> None:
    assert heard(tone(1000, 1.0)).startswith("heard 1000 Hz in 10 of 10")
    assert heard(tone(600, 1.0)).startswith("heard none of the tones 440, 620")
