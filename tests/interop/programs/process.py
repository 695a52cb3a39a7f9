"""A child process whose output is a log that tests wait on. Nothing here sleeps to be in time.

Every wait is for a condition with a deadline; a missed one shows the end of the log.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import pytest

T = TypeVar("T")
POLL = 0.05  # s, between two looks at a condition
PATIENCE = 20.0  # s, a shared machine may stall for seconds
PORTS = range(20000, 32000)  # below Linux's ephemeral ports
HANDED_OUT: set[tuple[str, int]] = set()
TAIL = 60  # lines of a log that a failure shows


def require(program: str) -> str:
    """Path of the program, or a skip that says which one is missing."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed (tests/interop/debian-packages.txt)")
    return path


def until(what: str, condition: Callable[[], T | None], seconds: float = PATIENCE, log: Path | None = None) -> T:
    """The condition's first true value; AssertionError with `what` and the log's end after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{tail(log)}")
        time.sleep(POLL)


def tail(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-TAIL:]
    return "\n".join([f"--- end of {log}", *lines])


def free_port(host: str) -> int:
    """A port above 1024 that neither UDP nor TCP uses on `host` now, and below the kernel's own choices."""
    return free_ports(host, 1)


def free_ports(host: str, count: int) -> int:
    """The first of `count` free ports in a row; even. None is handed out twice: who asked may not have bound it yet."""
    for _ in range(1000):
        first = random.randrange(PORTS.start, PORTS.stop - count, 2)
        wanted = [(host, port) for port in range(first, first + count)]
        if HANDED_OUT.isdisjoint(wanted) and all(_free(*each) for each in wanted):
            HANDED_OUT.update(wanted)
            return first
    raise AssertionError(f"no {count} free ports in a row on {host}")


def _free(host: str, port: int) -> bool:
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind((host, port))
    except OSError:
        return False
    return True


class Program:
    """One child process with its folder. Use it as a context manager."""

    name = "program"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{self.name}.log"
        self.child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str] | None:
        return None

    def ready(self) -> None:
        """Waits until the program answers."""

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self.child is not None, f"{self.name} was not started"
        return self.child.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tell(self, line: str) -> None:
        """One line on the program's standard input."""
        assert self.child is not None
        assert self.child.stdin is not None
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def wait_for(self, pattern: str, seconds: float = PATIENCE, count: int = 1) -> re.Match[str]:
        """The `count`-th match of the pattern in the output so far, or to come."""

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, self.output, re.MULTILINE))
            if len(matches) >= count:
                return matches[count - 1]
            if self.child is not None and self.child.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.child.returncode}\n{tail(self.log)}")
            return None

        return until(f"{self.name} prints {pattern!r} ({count} times)", found, seconds, self.log)

    def wait_exit(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it ended by itself."""
        assert self.child is not None
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds:g} s\n{tail(self.log)}") from None

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 5) -> int | None:
        """Ends the child, by force when it does not obey. Its exit code."""
        child = self.child
        if child is None:
            return None
        if child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        if child.poll() is None:
            child.send_signal(how)
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(seconds)
        return child.returncode


@contextlib.contextmanager
def running(*programs: Program) -> Iterator[None]:
    """All of them, in this order, and ended in the reverse one."""
    with contextlib.ExitStack() as stack:
        for program in programs:
            stack.enter_context(program)
        yield
