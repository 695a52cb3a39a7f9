"""The native engine inside a Python process: the library face of what `cubeproxy-media-worker` is as a program.

`Engine` loads the library that a build leaves beside the program (no Python headers are needed for it: it is called by
ctypes, which lets the interpreter's lock go for as long as a call lasts). `NativeSession` is the packet path of one
session without sockets or clock, like `cubeproxy.media.relay.Session`; `Engine.serve` is a whole worker in the
thread that calls it. Nothing here may be used by two threads at a time.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from cubeproxy.media.commands import Update, encode
from cubeproxy.media.counters import LEG_WORDS, Words
from cubeproxy.media.native import spare_crypto
from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.values import Address, StreamSpec

NAME = "libcubeproxy-media.so"
ROOM, HOST, MAX_DATAGRAM = 4096, 46, 2048
Specs = tuple[StreamSpec | None, StreamSpec | None]


def library() -> Path | None:
    """The built library, or the one that CUBEPROXY_MEDIA_LIBRARY names; None when there is none."""
    path = Path(os.environ.get("CUBEPROXY_MEDIA_LIBRARY") or Path(__file__).with_name(NAME))
    return path if path.is_file() else None


class _Datagram(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_uint8 * ROOM),
        ("length", ctypes.c_uint32),
        ("port", ctypes.c_uint16),
        ("host", ctypes.c_char * HOST),
    )


_POINTER, _SIZE, _DOUBLE = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double
_TEXT, _INT, _PACKET = ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(_Datagram)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {  # name: result, arguments (face.h)
    "engine_start": (_TEXT, (_TEXT,)),
    "engine_session_new": (_POINTER, ()),
    "engine_session_free": (None, (_POINTER,)),
    "engine_session_update": (_TEXT, (_POINTER, _TEXT, _SIZE, _DOUBLE)),
    "engine_session_report_every": (_INT, (_POINTER, _DOUBLE, _DOUBLE, _DOUBLE)),
    "engine_session_receive": (_INT, (_POINTER, _INT, _INT, _PACKET, _DOUBLE)),
    "engine_session_report": (_INT, (_POINTER, _INT, _PACKET, _DOUBLE, _INT)),
    "engine_session_muxed": (_INT, (_POINTER, _INT)),
    "engine_session_words": (ctypes.POINTER(ctypes.c_uint64 * LEG_WORDS), (_POINTER, _INT)),
    "engine_parse": (_TEXT, (_TEXT, _SIZE)),
    "engine_serve": (_TEXT, (_INT, _TEXT, ctypes.c_uint)),
}


class Engine:
    """The loaded library. OSError when it cannot be loaded, LocalProtocolError when it finds no libcrypto."""

    def __init__(self, path: Path) -> None:
        self.calls: Any = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self.calls, name)
            function.restype, function.argtypes = result, arguments
        spare = spare_crypto()
        _refuse(self.calls.engine_start(str(spare).encode() if spare else None))

    def session(self) -> NativeSession:
        return NativeSession(self.calls)

    def parse(self, message: bytes) -> None:
        """Read a message of the seam. LocalProtocolError says what is wrong with it."""
        _refuse(self.calls.engine_parse(message, len(message)))

    def serve(self, seam: int, backend: str = "io_uring", wait: int = 1000) -> None:
        """Be a media worker on this seam (`commands`), which is closed in the end. Once a process.

        Blocks without the interpreter's lock until the other end says Shutdown, or is gone and no session is left.
        LocalProtocolError when the back end does not work here.
        """
        _refuse(self.calls.engine_serve(seam, backend.encode(), wait))


class NativeLeg:
    """The counters of a leg, as they stand."""

    def __init__(self, words: Words) -> None:
        self.words = words


class NativeSession:
    """What `cubeproxy.media.relay.Session` offers."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self._session = calls.engine_session_new()
        if not self._session:
            raise MemoryError
        self._datagram = _Datagram()
        words = (calls.engine_session_words(self._session, leg).contents for leg in (0, 1))
        self.legs = tuple(NativeLeg(memoryview(each).cast("B").cast("Q")) for each in words)

    def __del__(self) -> None:
        if getattr(self, "_session", None):
            self._calls.engine_session_free(self._session)

    def update(self, specs: Specs, now: float) -> None:
        message = encode(Update(1, specs))
        _refuse(self._calls.engine_session_update(self._session, message, len(message), now))

    def receive(self, leg: int, datagram: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        return self._receive(leg, 0, datagram, source, now)

    def receive_rtcp(self, leg: int, datagram: bytes, source: Address, now: float) -> tuple[bytes, Address] | None:
        return self._receive(leg, 1, datagram, source, now)

    def report_every(self, interval: float, now: float, wall: float) -> None:
        if not self._calls.engine_session_report_every(self._session, interval, now, wall):
            raise MemoryError

    def reports(self, now: float, *, last: bool = False) -> list[tuple[int, bytes, Address, bool]]:
        due = []
        for leg in (0, 1):
            if self._calls.engine_session_report(self._session, leg, self._datagram, now, last):
                due.append((leg, *self._take(), bool(self._calls.engine_session_muxed(self._session, leg))))
        return due

    def _receive(
        self, leg: int, rtcp: int, datagram: bytes, source: Address, now: float
    ) -> tuple[bytes, Address] | None:
        self._fill(datagram, source)
        goes = self._calls.engine_session_receive(self._session, leg, rtcp, self._datagram, now)
        return self._take() if goes else None

    def _fill(self, datagram: bytes, source: Address) -> None:
        into = self._datagram
        into.length = min(len(datagram), MAX_DATAGRAM)  # the rest of a longer one is cut off, as from a socket
        ctypes.memmove(into.data, datagram, into.length)
        into.host, into.port = source[0].encode(), source[1]

    def _take(self) -> tuple[bytes, Address]:
        out = self._datagram
        return bytes(memoryview(out.data)[: out.length]), (out.host.decode(), out.port)


def _refuse(why: bytes | None) -> None:
    if why is not None:
        raise LocalProtocolError(f"native media engine: {why.decode()}")
