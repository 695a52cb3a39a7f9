"""The server name that a TLS client asks for (RFC 6066 3), read from its first octets and nothing else.

A relay terminates nothing; this is all that it can see of what goes through. What cannot be read has no name.
"""

from __future__ import annotations

HANDSHAKE, CLIENT_HELLO = 22, 1
SERVER_NAME, HOST_NAME = 0, 0
LONGEST = 255  # octets of a name


def server_name(data: bytes) -> str:
    """The name, "" when there is none, or when the hello is not whole, or is none."""
    try:
        return _read(data)
    except (IndexError, UnicodeDecodeError):
        return ""


def _read(data: bytes) -> str:
    if data[0] != HANDSHAKE or data[5] != CLIENT_HELLO:
        return ""
    reader = _Reader(data, 9 + 2 + 32)  # record and handshake headers, version, random
    reader.skip(1)  # session
    reader.skip(2)  # cipher suites
    reader.skip(1)  # compression methods
    extensions = reader.part(2)
    while not extensions.at_end:
        kind = extensions.number(2)
        body = extensions.part(2)
        if kind == SERVER_NAME:
            names = body.part(2)
            if names.number(1) == HOST_NAME:
                name = names.octets(2)
                text = name.decode("ascii")
                return text if len(name) <= LONGEST and text.isprintable() else ""
    return ""


class _Reader:
    """Lengths and what they are of. IndexError where something points behind the end."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def octets(self, size: int) -> bytes:
        return self._take(self.number(size))

    def part(self, size: int) -> _Reader:
        return _Reader(self.octets(size))

    def skip(self, size: int) -> None:
        self.octets(size)

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise IndexError
        self._at += size
        return taken
