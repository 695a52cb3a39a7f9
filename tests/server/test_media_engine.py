"""Which media worker runs, and that nobody has to guess."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
from pathlib import Path

import pytest

from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.values import Severity
from cubeproxy.server.media_engine import PYTHON, choose
from tests.media import builds

from .media_lab import live, running


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Path:
    if builds.missing():
        pytest.skip(builds.missing())
    monkeypatch.setenv("CUBEPROXY_MEDIA_WORKER", str(builds.worker("plain")))
    return builds.worker("plain")


def refusing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that finds nothing here to work with."""
    program = folder / "worker"
    program.write_text("#!/bin/sh\necho 'no libcrypto that can be used: gone' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("CUBEPROXY_MEDIA_WORKER", str(program))


def test_the_native_worker_is_preferred_where_it_works(built: Path) -> None:
    engine = choose("auto")
    assert engine.command[0] == str(built)
    assert "native" in engine.text
    assert "OpenSSL" in engine.text


def test_a_back_end_can_be_named(built: Path) -> None:
    engine = choose("epoll")
    assert "epoll" in engine.text
    assert not engine.degraded


def test_auto_falls_back_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(tmp_path, monkeypatch)
    engine = choose("auto")
    assert engine.command == PYTHON
    assert engine.degraded
    assert "no libcrypto" in engine.text


def forbid_io_uring() -> None:
    """For a child: the kernel answers io_uring_setup with EPERM, as container runtimes have it do (seccomp)."""
    load, jump, give = 0x20, 0x15, 0x06
    number = {"x86_64": 425, "aarch64": 425}[platform.machine()]
    rules = ((load, 0, 0, 0), (jump, 0, 1, number), (give, 0, 0, 0x0005_0001), (give, 0, 0, 0x7FFF_0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def test_where_io_uring_is_forbidden_epoll_takes_over_and_says_so(built: Path, tmp_path: Path) -> None:
    """Judged by a kernel that really forbids it."""
    command = [str(built), "--check"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=forbid_io_uring)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("epoll, since io_uring does not work here: Operation not permitted")
    named = subprocess.run(
        [*command, "--backend", "io_uring"], capture_output=True, text=True, check=False, preexec_fn=forbid_io_uring
    )
    assert named.returncode != 0, "what was asked for by name never falls back"


def test_auto_without_a_build_is_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBEPROXY_MEDIA_WORKER", "/nonexistent")
    engine = choose("auto")
    assert engine.command == PYTHON
    assert "not built" in engine.text


def test_what_was_asked_for_by_name_never_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="no libcrypto"):
        choose("native")
    with pytest.raises(ConfigError):
        choose("turbo")


def test_the_libcrypto_of_a_dependency_serves_where_the_system_has_none(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = choose("epoll").command
    monkeypatch.setenv("CUBEPROXY_LIBCRYPTO", spare[spare.index("--crypto") + 1])
    assert "_binding" in choose("epoll").text


@pytest.mark.parametrize("engine", ["auto", "python"])
def test_the_service_says_what_runs_and_runs_it(built: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBEPROXY_MEDIA", engine)

    @live
    async def ask() -> None:
        async with running(workers=2) as lab:
            text = lab.service.describe()
            assert ("native" in text) == (engine == "auto")
            assert "2 worker processes" in text
            (first, *_rest) = lab.service.workers.values()
            assert (os.readlink(f"/proc/{first}/exe") == str(built)) == (engine == "auto")

    ask()


def test_what_runs_is_told_at_the_start_and_once(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBEPROXY_MEDIA", "epoll")

    @live
    async def told() -> None:
        async with running() as lab:
            (await lab.call()).talk()
            (report,) = lab.reports
            assert (report.name, report.severity) == ("media.engine", Severity.INFO)
            assert "native (epoll; OpenSSL" in report.text

    told()


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def test_how_long_a_packet_may_wait_is_a_setting_that_reaches_the_worker(built: Path) -> None:
    """Microseconds; a millisecond unless the operator says otherwise."""

    @live
    async def look() -> None:
        for engine, expected in ((choose("epoll"), "1000"), (choose("epoll", wait=250), "250")):
            async with running(engine=engine) as lab:
                (pid,) = lab.service.workers.values()
                words = command_line(pid)
                assert words[words.index("--wait") + 1] == expected
                (await lab.call()).talk()

    look()


@pytest.mark.parametrize("permitted", [True, False])
def test_real_time_priority_is_taken_where_it_is_permitted_and_told(built: Path, permitted: bool) -> None:
    """Judged by the kernel: the worker's scheduling class is what the text says."""
    if permitted:
        text = choose("epoll", realtime=True).text
    else:
        command = ["setpriv", "--bounding-set", "-sys_nice", str(built), "--check", "--backend", "epoll", "--realtime"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 127 or "setpriv:" in done.stderr:  # not root: then nothing has to be taken away
            done = subprocess.run(command[3:], capture_output=True, text=True, check=False)
        text = done.stdout
    assert "real-time priority" in text
    if not permitted and os.geteuid() == 0:
        assert "not permitted" in text
    granted = "no real-time priority" not in text

    @live
    async def look() -> None:
        async with running(engine=choose("epoll", realtime=permitted)) as lab:
            (pid,) = lab.service.workers.values()
            assert (os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR) == granted

    look()


def test_a_degraded_engine_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(tmp_path, monkeypatch)
    monkeypatch.delenv("CUBEPROXY_MEDIA", raising=False)

    @live
    async def told() -> None:
        async with running() as lab:
            assert [report.name for report in lab.reports] == ["media.engine"]
            (await lab.call()).talk()

    told()
