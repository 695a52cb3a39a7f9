"""Builds of the native worker for tests: always of the sources as they are, never an installed one."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cubeproxy.media.native import NAME, library

SOURCES = Path(__file__).resolve().parents[2] / "cubeproxy" / "media" / "native"
KINDS = {
    "plain": NAME,
    "asan": f"{NAME}-asan",
    "tsan": f"{NAME}-tsan",
    "library": library.NAME,
    "fuzz": f"{NAME}-fuzz",
}
KIND = os.environ.get("CUBEPROXY_NATIVE_BUILD", "plain")  # what the suites run against


@functools.cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="cubeproxy-native-"))


def missing() -> str:
    """Why nothing can be built here; "" when it can."""
    for program in ("cc", "make"):
        if not shutil.which(program):
            return f"no {program} to build the native worker"
    return ""


def worker(kind: str = KIND) -> Path:
    """The program, or the library. A build that fails is a failure of the test, with what the compiler said."""
    complaint = _build(kind)
    assert not complaint, complaint
    return folder() / KINDS[kind]


@functools.cache
def _build(kind: str) -> str:
    """What went wrong. Once a run: sources that do not compile would cost every test a compilation."""
    program = folder() / KINDS[kind]
    target = str(program) if kind == "plain" else kind
    command = ["make", "-s", "-C", str(SOURCES), f"OUT={folder()}", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def watch() -> dict[str, str]:
    """Environment in which a sanitized worker writes what it finds to files, since nobody sees its standard error."""
    options = f"log_path={folder() / 'report'}:exitcode=99"
    return {"ASAN_OPTIONS": options, "UBSAN_OPTIONS": options, "TSAN_OPTIONS": options}


def found() -> str:
    """What sanitizers found until now."""
    return "\n".join(path.read_text() for path in sorted(folder().glob("report*")))


def sweep() -> None:
    """Throw the builds away."""
    if folder.cache_info().currsize:
        shutil.rmtree(folder(), ignore_errors=True)
        folder.cache_clear()
        _build.cache_clear()


atexit.register(sweep)
