"""The native engine inside a Python process: a whole worker in a thread, while the interpreter goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cubeproxy.media import counters
from cubeproxy.media.commands import MAX_MESSAGE, Beat, Close, Hello, Open, Renew, Shutdown, Update, decode, encode
from cubeproxy.media.native.library import Engine
from cubeproxy.protocols.errors import LocalProtocolError

from . import builds
from .phones import Phone, key

LOCAL = ("127.0.43.1", "127.0.43.2")


@pytest.fixture(scope="module")
def library() -> Path:
    if builds.missing():
        pytest.skip(builds.missing())
    return builds.worker("library")


@pytest.mark.parametrize("backend", ["epoll", "io_uring"])
def test_a_worker_in_a_thread_carries_a_call_and_ends_when_it_is_told(root: Path, library: Path, backend: str) -> None:
    command = [sys.executable, "-m", "tests.media.test_native_library", str(library), backend]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60, check=False)
    if "does not work here" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["20", "heard,", "20", "counted,", "thread", "ended,", "SIGTERM", "ours"]


def test_a_library_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"no library")
    with pytest.raises(OSError):
        Engine(tmp_path / "lib.so")


def test_a_broken_message_of_the_seam_is_named(library: Path) -> None:
    engine = Engine(library)
    engine.parse(encode(Renew(7)))
    for broken in (b"", b"\x01", encode(Renew(7))[:-1], encode(Renew(7)) + b"x"):
        with pytest.raises(LocalProtocolError, match="media seam"):
            engine.parse(broken)


def _ports(host: str) -> list[socket.socket]:
    pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in pair:
        sock.bind((host, 0))
        sock.settimeout(10)
    return pair


def _act(path: str, backend: str) -> None:
    """In a process of its own, for a process serves once."""
    engine = Engine(Path(path))
    before = signal.getsignal(signal.SIGTERM)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    failures: list[str] = []

    def serve() -> None:
        try:
            engine.serve(theirs.detach(), backend)
        except LocalProtocolError as error:
            failures.append(str(error))
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ours.settimeout(10)
        assert isinstance(decode(ours.recv(MAX_MESSAGE)), Beat)
    except OSError:
        print("does not work here:", *failures)
        return
    memory = counters.create(1)
    board = counters.Board(memory)
    socket.send_fds(ours, [encode(Hello(60_000, 60_000))], [memory])
    sockets = [sock for host in LOCAL for sock in _ports(host)]
    local = [sockets[0].getsockname(), sockets[2].getsockname()]
    given = encode(Open(1, 0, socket.AF_INET, socket.AF_INET))
    socket.send_fds(ours, [given], [os.dup(sock.fileno()) for sock in sockets])
    wires = [_ports(host)[0] for host in ("127.0.43.3", "127.0.43.4")]
    access = Phone(wires[0].getsockname(), key(1), key(2))
    core = Phone(wires[1].getsockname())
    ours.send(encode(Update(1, (access.spec(), core.spec()))))
    heard = 0
    for number in range(10):
        for (phone, wire), (other, far), at in (
            ((access, wires[0]), (core, wires[1]), local[0]),
            ((core, wires[1]), (access, wires[0]), local[1]),
        ):
            spoken = bytes((number,)) * 160
            wire.sendto(phone.say(spoken), at)
            heard += other.hear(far.recv(2048)).payload == spoken
    counted = sum(each.received for each in board.read(0, 1))
    ours.send(encode(Close(1)))
    ours.send(encode(Shutdown()))
    thread.join(10)
    assert not thread.is_alive()
    while ours.recv(MAX_MESSAGE):  # until its end of the seam is closed
        pass
    with pytest.raises(LocalProtocolError, match="served already"):
        engine.serve(-1, backend)
    same = signal.getsignal(signal.SIGTERM) == before
    print(heard, "heard,", counted, "counted, thread ended, SIGTERM", "ours" if same else "taken")


if __name__ == "__main__":
    _act(sys.argv[1], sys.argv[2])
