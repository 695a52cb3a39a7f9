"""A wheel that is installed elsewhere runs the demo: all data ships in it, nothing is read from a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from cubeproxy.media import native
from cubeproxy.media.native import library
from tests.media import builds

DEMO_LIMIT = 180  # s; under a minute on an idle machine


def run(command: list[str], folder: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """In `folder`, with nothing of this environment's Python settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CUBEPROXY"))}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit, check=False
    )


def pip(python: Path | str, *arguments: str, folder: Path) -> None:
    done = run([str(python), "-m", "pip", "--disable-pip-version-check", "-q", *arguments], folder, 600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git has, so that no stray build folder of the checkout slips in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        origin, copy = root / name, source / name
        if not origin.exists() and not origin.is_symlink():
            continue  # deleted, and not yet committed
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_symlink():
            copy.symlink_to(origin.readlink())
        else:
            copy.write_bytes(origin.read_bytes())
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source), folder=folder)
    return next(folder.glob("cubeproxy-*.whl"))


def test_the_wheel_has_certificates_profiles_and_configurations(root: Path, wheel: Path) -> None:
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}
    shipped = [*root.glob("certs/*.toml"), *root.glob("lab/configs/*")]
    assert shipped
    assert {file.name for file in shipped} <= names


def test_both_faces_of_the_native_engine_are_in_the_wheel(wheel: Path) -> None:
    if builds.missing():
        pytest.skip(builds.missing())
    names = zipfile.ZipFile(wheel).namelist()
    for name in (native.NAME, library.NAME):
        assert f"cubeproxy/media/native/{name}" in names
    assert wheel.name.split("-")[2:4] == ["py3", "none"], "they need a platform, but no particular Python"


def test_the_g729_helper_is_in_the_wheel_with_its_licence_and_is_no_module(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folder = "cubeproxy/media/codecs/bcg729/"
    assert {f"{folder}helper.py", f"{folder}COPYING"} <= set(names)
    assert f"{folder}__init__.py" not in names
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert "License-Expression: MIT AND GPL-3.0-or-later" in metadata


def test_no_key_and_no_test_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".pem", ".key")) or name.startswith("tests/")]


def test_the_demo_runs_from_a_wheel_installed_elsewhere(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    pip(binaries / "python", "install", str(wheel), folder=tmp_path)
    done = run([str(binaries / "cubeproxy"), "demo", "--out", str(tmp_path / "out")], tmp_path, DEMO_LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    claims = json.loads((tmp_path / "out" / "report.json").read_text())["claims"]
    assert claims
    assert [claim["id"] for claim in claims if claim["status"] == "failed"] == []
