"""The seam between signalling and a media worker: small messages over a Unix SEQPACKET socket.

One datagram is one message: version, kind, fields. Sockets and the memory of the counters travel
beside it as descriptors (SCM_RIGHTS). Neither side waits for the other: signalling never needs an
answer to go on, and a worker whose signalling is gone works until its lease ends.

Both ends are ours: a message that does not decode is a `LocalProtocolError`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cubeproxy.media import speccodec
from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.values import StreamSpec

VERSION = 1
CODECS = "--codecs"  # of a worker's command line: it is to take `OpenCoding`
MAX_MESSAGE = 4096
HEAD = struct.Struct("!BB")


@dataclass(slots=True)
class Hello:
    """First message to a worker. One descriptor: the memory of the counters.

    `lease` is how long the worker goes on without a renewal, `idle` how long a session may be silent
    on both legs once signalling is gone. Both in milliseconds.
    """

    KIND: ClassVar[int] = 1
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!II")
    lease: int
    idle: int


@dataclass(slots=True)
class Open:
    """A session and its sockets. Four descriptors: RTP and RTCP of leg 0, RTP and RTCP of leg 1.

    `families` are the address families of both legs, `slot` is where the session counts.
    """

    KIND: ClassVar[int] = 2
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!QIHH")
    session: int
    slot: int
    family0: int
    family1: int


@dataclass(slots=True)
class OpenCoding:
    """The same for a session whose legs may speak differently. Only a worker with codecs takes it."""

    KIND: ClassVar[int] = 8
    LAYOUT: ClassVar[struct.Struct] = Open.LAYOUT
    session: int
    slot: int
    family0: int
    family1: int


@dataclass(slots=True)
class Update:
    """The negotiated session, or the next one."""

    KIND: ClassVar[int] = 3
    session: int
    legs: tuple[StreamSpec | None, StreamSpec | None]


@dataclass(slots=True)
class Close:
    """Forget a session and close its sockets."""

    KIND: ClassVar[int] = 4
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!Q")
    session: int


@dataclass(slots=True)
class Renew:
    """Heartbeat: the lease begins anew. The worker answers `Beat` with the same number."""

    KIND: ClassVar[int] = 5
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!I")
    number: int


@dataclass(slots=True)
class Shutdown:
    """End at once, whatever is in progress."""

    KIND: ClassVar[int] = 6
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!")


@dataclass(slots=True)
class Reports:
    """Terminate RTCP in the sessions that are opened from now on, with reports every `interval` milliseconds.

    Without it RTCP is dropped.
    """

    KIND: ClassVar[int] = 7
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!I")
    interval: int


@dataclass(slots=True)
class Beat:
    """The worker's answer to `Renew`, and once with number 0 when it is ready."""

    KIND: ClassVar[int] = 16
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("!II")
    number: int
    sessions: int


@dataclass(slots=True)
class Fault:
    """Something in the worker went wrong that nobody on the wire can be blamed for."""

    KIND: ClassVar[int] = 17
    text: str


Command = Hello | Open | OpenCoding | Update | Close | Renew | Shutdown | Reports
Report = Beat | Fault
Message = Command | Report

FLAT: dict[int, type[Hello | Open | OpenCoding | Close | Renew | Shutdown | Reports | Beat]] = {
    kind.KIND: kind for kind in (Hello, Open, OpenCoding, Close, Renew, Shutdown, Reports, Beat)
}
_UPDATE_HEAD = struct.Struct("!BBQ")


def encode(message: Message) -> bytes:
    """The octets of a message. They may hold keys: never to be shown."""
    if isinstance(message, Update):
        return _UPDATE_HEAD.pack(VERSION, Update.KIND, message.session) + b"".join(
            speccodec.encode(leg) for leg in message.legs
        )
    if isinstance(message, Fault):
        return HEAD.pack(VERSION, Fault.KIND) + message.text.encode("utf-8", "replace")[: MAX_MESSAGE - HEAD.size]
    values = [getattr(message, name) for name in message.__slots__]
    return HEAD.pack(VERSION, message.KIND) + message.LAYOUT.pack(*values)


def decode(data: bytes) -> Message:
    """The message in one datagram; `LocalProtocolError` when there is none."""
    try:
        version, kind = HEAD.unpack_from(data)
        if version != VERSION:
            raise LocalProtocolError(f"media seam speaks version {VERSION}, not {version}")
        return _decode_body(kind, data)
    except (struct.error, IndexError, ValueError, TypeError) as error:
        raise LocalProtocolError(f"broken message on the media seam ({type(error).__name__})") from None


def _decode_body(kind: int, data: bytes) -> Message:
    flat = FLAT.get(kind)
    if flat is not None:
        make: Callable[..., Message] = flat
        return make(*flat.LAYOUT.unpack(data[HEAD.size :]))
    if kind == Update.KIND:
        return _decode_update(data)
    if kind == Fault.KIND:
        return Fault(data[HEAD.size :].decode("utf-8", "replace"))
    raise LocalProtocolError(f"unknown kind {kind} on the media seam")


def _decode_update(data: bytes) -> Update:
    session: int = _UPDATE_HEAD.unpack_from(data)[2]
    first, position = speccodec.decode(data, _UPDATE_HEAD.size)
    second, position = speccodec.decode(data, position)
    if position != len(data):
        raise LocalProtocolError("octets left over on the media seam")
    return Update(session, (first, second))
