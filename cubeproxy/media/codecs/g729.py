"""G.729A and AB by a helper program beside us (`bcg729/helper.py`, GPL-3), which is never imported.

The helper is found and started when the first channel is opened, one for a process, and serves all of its channels
over a socket pair. Asking it costs one trip for a packet. A helper that dies is started again, and its channels begin
anew in it: what is lost is a few milliseconds of speech.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
from array import array
from functools import cache
from itertools import count
from pathlib import Path

from cubeproxy.media.codecs.base import CodecMissing, Pcm

PROGRAM = Path(__file__).with_name("bcg729") / "helper.py"
COMMAND = (sys.executable, "-I", str(PROGRAM))
PATIENCE = 5.0  # s for the helper to say whether it works
MAX_DATAGRAM = 65536
FRAME = 80  # samples of 10 ms
SPEECH, SILENCE = 10, 2  # octets of a frame, and of a silence descriptor (annex B)
HEAD = struct.Struct("<BIH")
LENGTH = struct.Struct("<H")
ENCODER, DECODER, ENCODE, DECODE, CLOSE = range(1, 6)


@cache
def missing() -> str:
    """Why G.729 cannot be used, "" when it can. Asked once in the life of a process."""
    try:
        done = subprocess.run(
            [*COMMAND, "--check"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the G.729 helper does not run: {type(error).__name__}"
    if done.returncode:
        return "libbcg729 is not installed (Debian: apt-get install libbcg729-0)"
    return ""


class Helper:
    """The program and our end of the socket pair."""

    def __init__(self) -> None:
        self._channels = count(1)
        self._opened: dict[int, bytes] = {}  # channel -> the request that opens it, for a helper that follows
        self._start()

    def _start(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(PATIENCE)
        with theirs:
            self._process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def open(self, operation: int, body: bytes = b"") -> int:
        """A new channel. CodecMissing when the helper does not run."""
        channel = next(self._channels)
        self.ask(operation, channel, body)
        self._opened[channel] = HEAD.pack(operation, channel, len(body)) + body
        return channel

    def ask(self, operation: int, channel: int, body: bytes = b"") -> bytes:
        """One request's result. CodecMissing when the helper is gone and does not come back."""
        request = HEAD.pack(operation, channel, len(body)) + body
        try:
            return self._exchange(request)[LENGTH.size :]
        except CodecMissing:
            self._restart()
            return self._exchange(request)[LENGTH.size :]

    def forget(self, channel: int) -> None:
        if self._opened.pop(channel, None) is not None:
            with contextlib.suppress(CodecMissing):
                self.ask(CLOSE, channel)

    def _exchange(self, requests: bytes) -> bytes:
        try:
            self._ours.send(requests)
            answer = self._ours.recv(MAX_DATAGRAM)
        except OSError as error:
            self._ours.close()  # an answer that comes late must not be taken for that of the next request
            raise CodecMissing(f"the G.729 helper does not answer: {type(error).__name__}") from None
        if not answer:
            raise CodecMissing("the G.729 helper is gone")
        return answer

    def _restart(self) -> None:
        self.close()
        self._start()
        for request in self._opened.values():
            self._exchange(request)

    def close(self) -> None:
        """End the program: it has nothing to finish, and one that hangs must not keep a worker waiting."""
        self._ours.close()
        self._process.kill()
        self._process.wait()


@cache
def helper() -> Helper:
    """The helper of this process."""
    if why := missing():
        raise CodecMissing(why)
    return Helper()


class G729Decoder:
    """10-octet frames, and a 2-octet silence descriptor as the last of a packet (RFC 3551 4.5.6)."""

    rate = 8000

    def __init__(self) -> None:
        self._helper = helper()
        self._channel = self._helper.open(DECODER)

    def decode(self, payload: bytes) -> Pcm:
        frames, rest = divmod(len(payload), SPEECH)
        if rest not in (0, SILENCE) or not payload:
            raise ValueError("G.729: no whole number of frames")
        pieces = [payload[place * SPEECH : (place + 1) * SPEECH] for place in range(frames)]
        if rest:
            pieces.append(payload[-SILENCE:])
        return self._decode(b"".join(bytes((len(piece),)) + piece for piece in pieces))

    def conceal(self, samples: int) -> Pcm:
        """bcg729's own concealment, in whole frames."""
        return self._decode(bytes(-(-samples // FRAME)))[:samples]

    def _decode(self, frames: bytes) -> Pcm:
        return array("h", self._helper.ask(DECODE, self._channel, frames))

    def close(self) -> None:
        self._helper.forget(self._channel)


class G729Encoder:
    """Without voice activity detection: what a leg with `annexb=no` takes, every leg takes."""

    rate = 8000

    def __init__(self, ptime: int) -> None:
        self.ptime = ptime
        self._helper = helper()
        self._channel = self._helper.open(ENCODER, b"\0")

    def encode(self, pcm: Pcm) -> bytes:
        coded = self._helper.ask(ENCODE, self._channel, pcm.tobytes())
        step = SPEECH + 1
        return b"".join(coded[place + 1 : place + step] for place in range(0, len(coded), step))

    def close(self) -> None:
        self._helper.forget(self._channel)
