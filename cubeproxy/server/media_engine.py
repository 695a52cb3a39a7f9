"""Which media worker runs: the native one over io_uring or epoll, or the one in Python. Chosen once, at start.
Sessions that change codecs are always carried by workers in Python, beside native ones where those run.

`auto` takes the native worker where it was built and works, and says why when it does not. What a worker
that was asked for by name cannot do is an error, never a silent fallback.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from cubeproxy.media import native
from cubeproxy.media.commands import CODECS
from cubeproxy.protocols.errors import ConfigError

CHOICES = ("auto", "native", "io_uring", "epoll", "python")
WAIT = 1000  # us that a packet may wait for others
PATIENCE = 5.0  # s for a worker to say what it can do
# `-P`: the folder that the operator happens to stand in is not searched for modules.
PYTHON = (sys.executable, "-P", "-m", "cubeproxy.media.worker")
CODING = (*PYTHON, CODECS)


@dataclass(frozen=True, slots=True)
class Engine:
    """`command` starts a worker when the descriptor of its seam is appended; `text` is for the operator."""

    command: tuple[str, ...]
    text: str
    degraded: bool = False  # not the best that there is: worth a line in the log


def choose(wanted: str = "auto", *, wait: int = WAIT, realtime: bool = False) -> Engine:
    """The engine for `wanted`, one of CHOICES. ConfigError when that one does not work here."""
    if wanted not in CHOICES:
        raise ConfigError(f"no media engine is called {wanted!r}", fix=f"one of {', '.join(CHOICES)}")
    if wanted == "python":
        return Engine(PYTHON, "Python (epoll, pylibsrtp), as configured")
    command = _native(wanted if wanted in ("io_uring", "epoll") else "auto", wait, realtime)
    works, text = _check(command)
    if works:
        return Engine(command, f"native ({text})", degraded="does not work" in text)
    if wanted == "auto":
        return Engine(PYTHON, f"Python (epoll, pylibsrtp), since the native worker does not run: {text}", degraded=True)
    raise ConfigError(
        f"the native media worker does not run: {text}", fix="install with a C compiler, or choose python"
    )


def _native(backend: str, wait: int, realtime: bool) -> tuple[str, ...]:
    """The command line; empty when there is no program."""
    program = native.program()
    if program is None:
        return ()
    spare = native.spare_crypto()
    options = ["--backend", backend, "--wait", str(wait)]
    options += ["--crypto", str(spare)] if spare else []
    options += ["--realtime"] if realtime else []
    return (str(program), *options)


def _check(command: tuple[str, ...]) -> tuple[bool, str]:
    """Whether a worker would run, and what it says of itself or of what is missing."""
    if not command:
        return False, "it was not built (no C compiler at installation)"
    try:
        done = subprocess.run([*command, "--check"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"{type(error).__name__} when it was asked"
    text = (done.stdout if done.returncode == 0 else done.stderr).strip()
    return done.returncode == 0, text.splitlines()[-1] if text else f"exit code {done.returncode}"
