"""G.722 at 64 kbit/s and G.726 at 16, 24 and 32 by spandsp (LGPL-2.1; Debian: libspandsp2), loaded at run time.

Codewords are packed as RFC 3551 4.5.4 has it, the first in the low bits of an octet ("G726-32"), not as AAL2 does
("AAL2-G726-32"). IOS has no 40 kbit/s; nor have we, for there spandsp and FFmpeg do not understand each other.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable
from functools import cache

from cubeproxy.media.codecs.base import CodecMissing, Pcm
from cubeproxy.media.codecs.concealment import Concealment

NAMES = ("libspandsp.so.2", "libspandsp.so.3")
MISSING = "libspandsp is not installed (Debian: apt-get install libspandsp2)"
G722_RATE = 64_000  # bit/s
LINEAR = 0  # what is coded: 16-bit samples, not G.711
PACKING_RIGHT = 2  # first codeword in the low bits
CODEWORD = {16_000: 2, 24_000: 3, 32_000: 4}  # bit/s -> bits of a sample


@cache
def library() -> ctypes.CDLL:
    """spandsp with its signatures. CodecMissing with what is to be done."""
    for name in NAMES:
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        handle, count, octets = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        found.g726_init.argtypes, found.g726_init.restype = [handle, count, count, count], handle
        found.g726_encode.argtypes, found.g726_encode.restype = [handle, octets, octets, count], count
        found.g726_decode.argtypes, found.g726_decode.restype = [handle, octets, octets, count], count
        found.g726_free.argtypes, found.g726_free.restype = [handle], count
        for side in ("encode", "decode"):
            init, work, free = (getattr(found, f"g722_{side}{what}") for what in ("_init", "", "_free"))
            init.argtypes, init.restype = [handle, count, count], handle
            work.argtypes, work.restype = [handle, octets, octets, count], count
            free.argtypes, free.restype = [handle], count
        return found
    raise CodecMissing(MISSING)


def missing() -> str:
    """Why these codecs cannot be used, "" when they can."""
    try:
        library()
    except CodecMissing as error:
        return str(error)
    return ""


Work = Callable[[int | None, object, bytes, int], int]  # state, room for the result, what is to be coded, how much
Free = Callable[[int], object]


class _Channel:
    """One direction's state, and spandsp's functions for it."""

    state: int | None = None

    def __init__(self, state: int | None, work: Work, free: Free) -> None:
        if not state:
            raise CodecMissing("spandsp has no room for another channel")
        self.state = state
        self.work = work
        self._free = free

    def close(self) -> None:
        state, self.state = self.state, None
        if state:
            self._free(state)

    def __del__(self) -> None:
        self.close()


class _Decoder(_Channel):
    """`bits` of payload are a sample of `rate`."""

    rate: int
    bits: int

    def __init__(self, state: int | None, work: Work, free: Free) -> None:
        super().__init__(state, work, free)
        self._concealment = Concealment(self.rate)

    def decode(self, payload: bytes) -> Pcm:
        room = ctypes.create_string_buffer(2 * (len(payload) * 8 // self.bits) + 32)
        made = self.work(self.state, room, payload, len(payload))
        pcm = array("h", room.raw[: 2 * made])
        self._concealment.heard(pcm)
        return pcm

    def conceal(self, samples: int) -> Pcm:
        return self._concealment.fill(samples)


class _Encoder(_Channel):
    def encode(self, pcm: Pcm) -> bytes:
        room = ctypes.create_string_buffer(len(pcm))
        made = self.work(self.state, room, pcm.tobytes(), len(pcm))
        return room.raw[:made]


class G722Decoder(_Decoder):
    """16 kHz samples, two for an octet, although RTP counts one (RFC 3551 4.5.2)."""

    rate = 16_000
    bits = 4

    def __init__(self) -> None:
        spandsp = library()
        super().__init__(spandsp.g722_decode_init(None, G722_RATE, 0), spandsp.g722_decode, spandsp.g722_decode_free)


class G722Encoder(_Encoder):
    rate = 16_000

    def __init__(self, ptime: int) -> None:
        spandsp = library()
        super().__init__(spandsp.g722_encode_init(None, G722_RATE, 0), spandsp.g722_encode, spandsp.g722_encode_free)
        self.ptime = ptime


class G726Decoder(_Decoder):
    rate = 8000

    def __init__(self, bit_rate: int) -> None:
        spandsp = library()
        super().__init__(_g726(bit_rate), spandsp.g726_decode, spandsp.g726_free)
        self.bits = CODEWORD[bit_rate]


class G726Encoder(_Encoder):
    rate = 8000

    def __init__(self, bit_rate: int, ptime: int) -> None:
        spandsp = library()
        super().__init__(_g726(bit_rate), spandsp.g726_encode, spandsp.g726_free)
        self.ptime = ptime


def _g726(bit_rate: int) -> int | None:
    state: int | None = library().g726_init(None, bit_rate, LINEAR, PACKING_RIGHT)
    return state
