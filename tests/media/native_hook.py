"""The native relay as the tests see it: `Session` over the worker's `--hook`, with sockets and clock left out."""

from __future__ import annotations

import os
import struct
import subprocess
from array import array
from pathlib import Path

from cubeproxy.media import speccodec
from cubeproxy.media.commands import Update, encode
from cubeproxy.media.counters import LEG_WORDS
from cubeproxy.media.relay import Specs
from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.srtp import AuthenticationFailed, Replayed, SrtpError
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address

LENGTH = struct.Struct("!I")
SUITES = tuple(Suite)


class Hook:
    """A running worker that answers requests."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program, "--hook"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._complaint: str | None = None
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()

    def tell(self, request: bytes) -> None:
        try:
            os.write(self._in, LENGTH.pack(len(request)) + request)
        except BrokenPipeError:
            raise AssertionError(f"the native relay died: {self.end()}") from None

    def ask(self, request: bytes) -> bytes:
        self.tell(request)
        answer = os.read(self._out, 9000)
        if not answer:
            raise AssertionError(f"the native relay died: {self.end()}")
        size = LENGTH.size + LENGTH.unpack_from(answer)[0]
        while len(answer) < size:
            answer += os.read(self._out, 9000)
        return answer[LENGTH.size :]

    def end(self) -> str:
        """What it complained of; "" for a clean end."""
        if self._complaint is None:
            _out, complaint = self._process.communicate()
            code = self._process.returncode
            self._complaint = complaint.decode() or ("" if code == 0 else f"exit code {code}")
        return self._complaint

    def resume(self, leg: int, sending: bool, ssrc: int, index: int) -> None:
        self.tell(b"R" + struct.pack("!BBIQ", leg, sending, ssrc, index))

    # SRTP alone

    def derive(self, key: MasterKey, label: int, octets: int) -> bytes:
        return self.ask(b"K" + bytes((label, octets, SUITES.index(key.suite))) + key.master)

    def protect(self, key: MasterKey, index: int, packet: bytes) -> bytes:
        return self.ask(b"P" + struct.pack("!QB", index, SUITES.index(key.suite)) + key.master + packet)

    def unprotect(self, key: MasterKey, index: int, packet: bytes) -> bytes:
        """Empty when it does not verify."""
        return self.ask(b"V" + struct.pack("!QB", index, SUITES.index(key.suite)) + key.master + packet)

    def protect_rtcp(self, key: MasterKey, index: int, packet: bytes) -> bytes:
        return self.ask(b"p" + struct.pack("!QB", index, SUITES.index(key.suite)) + key.master + packet)

    def unprotect_rtcp(self, key: MasterKey, index: int, packet: bytes) -> bytes:
        return self.ask(b"v" + struct.pack("!QB", index, SUITES.index(key.suite)) + key.master + packet)


class NativeContexts:
    """A sender and a receiver of the native core under one key, as `SrtpSender` and `SrtpReceiver` are used."""

    def __init__(self, hook: Hook, key: MasterKey, ssrc: int) -> None:
        self._hook = hook
        hook.tell(b"N" + speccodec._key(key) + struct.pack("!I", ssrc))

    def protect(self, packet: bytes) -> bytes:
        return self._protected(b"O", packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._protected(b"o", packet)

    def unprotect(self, packet: bytes) -> bytes:
        return self._verified(b"I", packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self._verified(b"i", packet)

    def _protected(self, request: bytes, packet: bytes) -> bytes:
        answer = self._hook.ask(request + packet)
        if not answer:
            raise LocalProtocolError("refused")
        return answer

    def _verified(self, request: bytes, packet: bytes) -> bytes:
        answer = self._hook.ask(request + packet)
        failure = (None, AuthenticationFailed, Replayed, SrtpError)[answer[0]]
        if failure is not None:
            raise failure("refused")
        return answer[1:]


class NativeLeg:
    def __init__(self, hook: Hook, number: int) -> None:
        self._hook = hook
        self._number = number

    @property
    def words(self) -> memoryview:
        values = struct.unpack(f"!{2 * LEG_WORDS}Q", self._hook.ask(b"C"))
        start = self._number * LEG_WORDS
        return memoryview(array("Q", values[start : start + LEG_WORDS]))


class NativeSession:
    """What `cubeproxy.media.relay.Session` offers."""

    def __init__(self, program: Path) -> None:
        self.hook = Hook(program)
        self.hook.tell(b"S")
        self.legs = (NativeLeg(self.hook, 0), NativeLeg(self.hook, 1))

    def update(self, specs: Specs, now: float) -> None:
        self.hook.tell(b"U" + _time(now) + encode(Update(1, specs)))
        self._muxed = [spec is not None and spec.remote == spec.remote_rtcp is not None for spec in specs]

    def receive(self, leg: int, datagram: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        answer = self.hook.ask(_datagram(leg, 0, datagram, source, now))
        return _addressed(answer) if answer else None

    def report_every(self, interval: float, now: float, wall: float) -> None:
        self.hook.tell(b"T" + struct.pack("!I", round(interval * 1000)) + _time(now) + _time(wall))
        self._muxed = [False, False]

    def reports(self, now: float, *, last: bool = False) -> list[tuple[int, bytes, Address, bool]]:
        answers = [self.hook.ask(b"Q" + bytes((leg, last)) + _time(now)) for leg in (0, 1)]
        return [(leg, *_addressed(answer), self._muxed[leg]) for leg, answer in enumerate(answers) if answer]

    def receive_rtcp(self, leg: int, datagram: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        answer = self.hook.ask(_datagram(leg, 1, datagram, source, now))
        return _addressed(answer) if answer else None


def _addressed(answer: bytes) -> tuple[bytes, Address]:
    """A datagram behind the address that it goes to."""
    end = 1 + answer[0]
    return answer[end + 2 :], (answer[1:end].decode(), int.from_bytes(answer[end : end + 2], "big"))


def _time(now: float) -> bytes:
    return struct.pack("!Q", round(now * 1e9))


def _datagram(leg: int, rtcp: int, datagram: bytes, source: Address, now: float) -> bytes:
    host, port = source
    name = bytes((len(host),)) + host.encode() + port.to_bytes(2, "big")
    return b"D" + bytes((leg, rtcp)) + _time(now) + name + datagram[:2048]
