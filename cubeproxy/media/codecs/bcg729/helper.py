# SPDX-License-Identifier: GPL-3.0-or-later
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed without any warranty; see COPYING beside it.
"""G.729A and AB for whoever asks over a socket: bcg729 (GPL-3), found on this machine at run time.

A program of its own, because bcg729's licence covers what shares a process with it. `helper.py FD` serves the
SEQPACKET socket of that number until its other end is gone; `helper.py --check` says whether the library is here.

One datagram holds requests, its answer holds their results in the same order. All numbers are little-endian.

    request  operation u8, channel u32, length u16, body
    result   length u16, body

    ENCODER  (1) opens a channel; body: one octet, 1 with voice activity detection (annex B). Result: nothing
    DECODER  (2) opens a channel. Result: nothing
    ENCODE   (3) body: samples, 80 for each 10 ms, 16 bit. Result: for each its length (10, 2 or 0) and its octets
    DECODE   (4) body: for each 10 ms its length (10, 2 for a silence descriptor, 0 for a lost one) and its octets.
             Result: samples
    CLOSE    (5) closes a channel. Result: nothing
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Callable, Iterator

NAMES = ("libbcg729.so.0", "libbcg729.so")
MAX_DATAGRAM = 65536
FRAME = 80  # samples in 10 ms
HEAD = struct.Struct("<BIH")
LENGTH = struct.Struct("<H")
ENCODER, DECODER, ENCODE, DECODE, CLOSE = range(1, 6)


def load() -> ctypes.CDLL:
    """The library with its signatures; OSError when it is not here."""
    problem = OSError("no library")
    for name in NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError as error:
            problem = error
            continue
        octet, handle, octets = ctypes.c_uint8, ctypes.c_void_p, ctypes.c_char_p
        library.initBcg729EncoderChannel.argtypes = [octet]
        library.initBcg729EncoderChannel.restype = handle
        library.initBcg729DecoderChannel.argtypes = []
        library.initBcg729DecoderChannel.restype = handle
        library.bcg729Encoder.argtypes = [handle, octets, octets, ctypes.POINTER(octet)]
        library.bcg729Encoder.restype = None
        library.bcg729Decoder.argtypes = [handle, octets, octet, octet, octet, octet, octets]
        library.bcg729Decoder.restype = None
        for close in (library.closeBcg729EncoderChannel, library.closeBcg729DecoderChannel):
            close.argtypes, close.restype = [handle], None
        return library
    raise problem


class Codec:
    """Channels by the number that the other side gave them."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._encoders: dict[int, int] = {}
        self._decoders: dict[int, int] = {}
        self._bits = ctypes.create_string_buffer(16)
        self._signal = ctypes.create_string_buffer(2 * FRAME)
        self._length = ctypes.c_uint8()
        self._operations: dict[int, Callable[[int, bytes], bytes]] = {
            ENCODER: self._open_encoder,
            DECODER: self._open_decoder,
            ENCODE: self._encode,
            DECODE: self._decode,
            CLOSE: self._close,
        }

    def answer(self, datagram: bytes) -> bytes:
        """The results of all requests in a datagram."""
        out = []
        for operation, channel, body in _requests(datagram):
            result = self._operations[operation](channel, body)
            out.append(LENGTH.pack(len(result)) + result)
        return b"".join(out)

    def _open_encoder(self, channel: int, body: bytes) -> bytes:
        self._encoders[channel] = self._library.initBcg729EncoderChannel(body[0])
        return b""

    def _open_decoder(self, channel: int, _body: bytes) -> bytes:
        self._decoders[channel] = self._library.initBcg729DecoderChannel()
        return b""

    def _encode(self, channel: int, body: bytes) -> bytes:
        state, encode = self._encoders[channel], self._library.bcg729Encoder
        out = []
        for start in range(0, len(body) - 2 * FRAME + 1, 2 * FRAME):
            encode(state, body[start : start + 2 * FRAME], self._bits, ctypes.byref(self._length))
            length = self._length.value
            out.append(bytes((length,)) + self._bits.raw[:length])
        return b"".join(out)

    def _decode(self, channel: int, body: bytes) -> bytes:
        state, decode = self._decoders[channel], self._library.bcg729Decoder
        out = []
        place = 0
        while place < len(body):
            length = body[place]
            bits = body[place + 1 : place + 1 + length]
            place += 1 + length
            decode(state, bits.ljust(10, b"\0"), length, not length, length == 2, 0, self._signal)
            out.append(self._signal.raw)
        return b"".join(out)

    def _close(self, channel: int, _body: bytes) -> bytes:
        if state := self._encoders.pop(channel, None):
            self._library.closeBcg729EncoderChannel(state)
        if state := self._decoders.pop(channel, None):
            self._library.closeBcg729DecoderChannel(state)
        return b""


def _requests(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    place = 0
    while place < len(datagram):
        operation, channel, length = HEAD.unpack_from(datagram, place)
        place += HEAD.size
        yield operation, channel, datagram[place : place + length]
        place += length


def main(arguments: list[str]) -> int:
    try:
        library = load()
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments == ["--check"]:
        return 0
    codec = Codec(library)
    with socket.socket(fileno=int(arguments[0])) as door:
        while datagram := door.recv(MAX_DATAGRAM):
            door.send(codec.answer(datagram))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
