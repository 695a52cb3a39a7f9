"""Bencode: integers, octet strings, lists and dictionaries (BEP 3), as rtpengine uses it.

Strict where a number has more than one spelling: "i-0e", "i01e" and "01:x" are refused, and so are a key that is named
twice and anything after the value. Keys may come in any order, for rtpengine does not sort its own; ours are sorted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cubeproxy.protocols.errors import RemoteProtocolError

Value = int | bytes | Sequence["Value"] | Mapping[bytes, "Value"]

LONGEST = 65535  # octets of a whole value: a UDP datagram has no more
DEEPEST = 16  # containers in containers; a query's reply needs eight

_INTEGER = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,4}):")


def encode(value: Value) -> bytes:
    """The octets of a value."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Value, parts: list[bytes]) -> None:
    if isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, bytes):
        parts.append(b"%d:%s" % (len(value), value))
    elif isinstance(value, Mapping):
        parts.append(b"d")
        for key in sorted(value):
            _write(key, parts)
            _write(value[key], parts)
        parts.append(b"e")
    else:
        parts.append(b"l")
        for each in value:
            _write(each, parts)
        parts.append(b"e")


def decode(data: bytes) -> Value:
    """The one value in `data`. Raises RemoteProtocolError."""
    if len(data) > LONGEST:
        raise _bad("longer than a datagram")
    value, position = _read(data, 0, 0)
    if position != len(data):
        raise _bad(f"octets after the value, at {position}")
    return value


def _read(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    """A value and the position after it."""
    match data[position : position + 1]:
        case b"i":
            integer = _INTEGER.match(data, position)
            if integer is None:
                raise _bad(f"no integer at {position}")
            return int(integer[1]), integer.end()
        case b"l" if depth < DEEPEST:
            return _read_list(data, position + 1, depth + 1)
        case b"d" if depth < DEEPEST:
            return _read_dictionary(data, position + 1, depth + 1)
    return _read_string(data, position)


def _read_string(data: bytes, position: int) -> tuple[bytes, int]:
    length = _LENGTH.match(data, position)
    if length is None:
        raise _bad(f"no value at {position}")
    start, end = length.end(), length.end() + int(length[1])
    if end > len(data):
        raise _bad(f"the string at {position} ends after the message")
    return data[start:end], end


def _read_list(data: bytes, position: int, depth: int) -> tuple[list[Value], int]:
    found: list[Value] = []
    while data[position : position + 1] != b"e":
        value, position = _read(data, position, depth)
        found.append(value)
    return found, position + 1


def _read_dictionary(data: bytes, position: int, depth: int) -> tuple[dict[bytes, Value], int]:
    found: dict[bytes, Value] = {}
    while data[position : position + 1] != b"e":
        key, position = _read_string(data, position)
        if key in found:
            raise _bad("a key is named twice")
        found[key], position = _read(data, position, depth)
    return found, position + 1


def _bad(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"bencode: {text}")
