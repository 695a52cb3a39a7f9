"""`StreamSpec` as octets, for the seam to a media worker.

A leg is a fixed head, whose flags say which of the parts follow: codec name, remote address,
RTCP address, the key that protects, the key that verifies. A leg that is not known yet is a head of zeros.
"""

from __future__ import annotations

import struct

from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address, Codec, StreamSpec

HEAD = struct.Struct("!HBBHIB")  # flags, payload type, telephone-event payload type, ptime, clock, channels
KEY = struct.Struct("!BBQ")  # suite, octets of MKI, lifetime (0: the suite's default)
PORT = struct.Struct("!H")

PRESENT, SENDS, RECEIVES, LATCH, SEND_KEY, RECEIVE_KEY, REMOTE, RTCP, DTMF, JOINS = (1 << bit for bit in range(10))
SUITES = tuple(Suite)
SUITE_NUMBERS = {suite: number for number, suite in enumerate(SUITES)}
ABSENT = HEAD.pack(0, 0, 0, 0, 0, 0)


def encode(spec: StreamSpec | None) -> bytes:
    """The octets of a leg, keys included."""
    if spec is None:
        return ABSENT
    codec = spec.codec
    dtmf = spec.dtmf_payload_type
    flags = PRESENT | (SENDS if spec.sends else 0) | (RECEIVES if spec.receives else 0) | (LATCH if spec.latch else 0)
    parts = [_text(codec.name)]
    for flag, address in ((REMOTE, spec.remote), (RTCP, spec.remote_rtcp)):
        if address is not None:
            flags |= flag
            parts.append(_text(address[0]) + PORT.pack(address[1]))
    for flag, key in ((SEND_KEY, spec.send_key), (RECEIVE_KEY, spec.receive_key)):
        if key is not None:
            flags |= flag
            parts.append(_key(key))
    if dtmf is not None:
        flags |= DTMF
    if spec.joins:
        flags |= JOINS
    head = HEAD.pack(flags, spec.payload_type, dtmf or 0, spec.ptime, codec.clock, codec.channels)
    return head + b"".join(parts)


def decode(data: bytes, position: int) -> tuple[StreamSpec | None, int]:
    """A leg and the position after it. Raises struct.error, IndexError or ValueError on broken octets."""
    flags, payload_type, dtmf, ptime, clock, channels = HEAD.unpack_from(data, position)
    position += HEAD.size
    if not flags & PRESENT:
        return None, position
    name, position = _read_text(data, position)
    remote: Address | None = None
    rtcp: Address | None = None
    send_key: MasterKey | None = None
    receive_key: MasterKey | None = None
    if flags & REMOTE:
        remote, position = _read_address(data, position)
    if flags & RTCP:
        rtcp, position = _read_address(data, position)
    if flags & SEND_KEY:
        send_key, position = _read_key(data, position)
    if flags & RECEIVE_KEY:
        receive_key, position = _read_key(data, position)
    spec = StreamSpec(
        remote,
        Codec(name, clock, channels),
        payload_type,
        send_key,
        receive_key,
        dtmf if flags & DTMF else None,
        ptime,
        bool(flags & SENDS),
        bool(flags & RECEIVES),
        bool(flags & LATCH),
        rtcp,
        bool(flags & JOINS),
    )
    return spec, position


def _text(text: str) -> bytes:
    data = text.encode("ascii")
    return bytes((len(data),)) + data


def _key(key: MasterKey) -> bytes:
    return KEY.pack(SUITE_NUMBERS[key.suite], len(key.mki), key.lifetime or 0) + key.mki + key.master


def _take(data: bytes, position: int, octets: int) -> tuple[bytes, int]:
    end = position + octets
    if end > len(data):
        raise ValueError("truncated")
    return data[position:end], end


def _read_text(data: bytes, position: int) -> tuple[str, int]:
    text, position = _take(data, position + 1, data[position])
    return text.decode("ascii"), position


def _read_address(data: bytes, position: int) -> tuple[Address, int]:
    host, position = _read_text(data, position)
    port: int = PORT.unpack_from(data, position)[0]
    return (host, port), position + PORT.size


def _read_key(data: bytes, position: int) -> tuple[MasterKey, int]:
    number, mki_octets, lifetime = KEY.unpack_from(data, position)
    suite = SUITES[number]
    mki, position = _take(data, position + KEY.size, mki_octets)
    master, position = _take(data, position, suite.sizes.master)
    return MasterKey(suite, master, mki, lifetime or None), position
