"""A TCP stream to SCCP messages. Any split of the same octets gives the same messages."""

from __future__ import annotations

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.registry import HEAD, Message, Unknown, decode

LARGEST = 4096  # octets from the message id on: several times the largest message there is
LAST_VERSION = 255  # a header version beyond is no SCCP

Received = tuple[Message | Unknown | RemoteProtocolError, int]  # what came, and its header version


class Framer:
    """`receive` octets as they come. A broken message is an error in its place and the stream goes on; an error that
    is `fatal` is the last thing that comes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dead = False

    @property
    def pending(self) -> bool:
        """Whether a part of a message is held."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> list[Received]:
        found: list[Received] = []
        if self._dead:
            return found
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= HEAD.size:
            length, version, number = HEAD.unpack_from(self._buffer, position)
            if not 4 <= length <= LARGEST or version > LAST_VERSION:
                self._dead = True
                self._buffer.clear()
                found.append((RemoteProtocolError("this is no SCCP stream", fatal=True), 0))
                return found
            end = position + 8 + length
            if end > len(self._buffer):
                break
            found.append((_read(number, bytes(self._buffer[position + HEAD.size : end]), version), version))
            position = end
        del self._buffer[:position]
        return found


def _read(number: int, body: bytes, version: int) -> Message | Unknown | RemoteProtocolError:
    try:
        return decode(number, body, version)
    except RemoteProtocolError as error:
        return error
