"""Commands to rtpengine and its replies, with the cookie in front: "COOKIE d7:command4:pinge".

What a command says is in its fields; a session description is octets, and may hold keys: it never shows in a repr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.ng.bencode import LONGEST, Value, decode, encode

Option = int | str | tuple[str, ...] | Mapping[str, tuple[str, ...]]

_COOKIE = re.compile(rb"[!-~]{1,128} ")


@dataclass(slots=True, frozen=True)
class Ping:
    """Answered by "pong", and by nothing else."""

    command = "ping"

    def fields(self) -> dict[bytes, Value]:
        return {}


@dataclass(slots=True, frozen=True)
class Statistics:
    """Counters of the whole engine, `uptime` in seconds among them."""

    command = "statistics"

    def fields(self) -> dict[bytes, Value]:
        return {}


@dataclass(slots=True, frozen=True)
class Description:
    """What offer and answer have in common. `sdp` is that of the side that speaks.

    `protocol` is the RTP profile that the other side gets. `options` are further keys of the dictionary.
    """

    call: str
    from_tag: str
    to_tag: str
    protocol: str
    sdp: bytes = field(repr=False)
    options: Mapping[str, Option] = field(default_factory=dict)

    def fields(self) -> dict[bytes, Value]:
        tags = {"call-id": self.call, "from-tag": self.from_tag, "transport-protocol": self.protocol}
        if self.to_tag:
            tags["to-tag"] = self.to_tag
        found: dict[bytes, Value] = {key.encode(): text.encode() for key, text in tags.items()}
        found.update((key.encode(), _value(option)) for key, option in self.options.items())
        found[b"sdp"] = self.sdp
        return found


def _value(option: Option) -> Value:
    if isinstance(option, int):
        return option
    if isinstance(option, str):
        return option.encode()
    if isinstance(option, Mapping):
        return {key.encode(): _value(inner) for key, inner in option.items()}
    return [word.encode() for word in option]


@dataclass(slots=True, frozen=True)
class Offer(Description):
    """The side `from_tag` offers; the reply holds the offer for the other side, from the engine's port there."""

    command = "offer"


@dataclass(slots=True, frozen=True)
class Answer(Description):
    """The side `to_tag` answers an offer of `from_tag`."""

    command = "answer"


@dataclass(slots=True, frozen=True)
class Delete:
    """A call is over; the reply holds its statistics. `delay` seconds may pass before its ports are free."""

    call: str
    delay: int = 0
    command = "delete"

    def fields(self) -> dict[bytes, Value]:
        return {b"call-id": self.call.encode(), b"delete-delay": self.delay}


@dataclass(slots=True, frozen=True)
class Query:
    """Counters of one call."""

    call: str
    command = "query"

    def fields(self) -> dict[bytes, Value]:
        return {b"call-id": self.call.encode()}


Command = Ping | Statistics | Offer | Answer | Delete | Query


@dataclass(slots=True)
class Reply:
    """`result` is "ok", "pong", "error" or "load limit"; `reason` says more about an error."""

    result: str
    reason: str = ""
    values: Mapping[bytes, Value] = field(default_factory=dict, repr=False)

    @property
    def good(self) -> bool:
        return self.result in ("ok", "pong")

    @property
    def busy(self) -> bool:
        """The engine has as many sessions, or as much load, as its configuration lets it have."""
        return self.result == "load limit"

    @property
    def sdp(self) -> bytes:
        """The description for the other side, b"" when there is none."""
        found = self.values.get(b"sdp", b"")
        return found if isinstance(found, bytes) else b""

    def number(self, *path: str) -> int:
        """An integer somewhere in the reply, 0 when it is not there. Engines write some as text ("uptime")."""
        found: Value = self.values
        for key in path:
            found = found.get(key.encode(), 0) if isinstance(found, Mapping) else 0
        if isinstance(found, bytes) and len(found) < 19 and found.isdigit():
            return int(found)
        return found if isinstance(found, int) else 0


def write(cookie: bytes, command: Command) -> bytes:
    """The datagram of a request."""
    return cookie + b" " + encode({b"command": command.command.encode(), **command.fields()})


def read(datagram: bytes) -> tuple[bytes, Reply]:
    """Cookie and reply. Raises RemoteProtocolError."""
    cookie, value = _split(datagram)
    result = value.get(b"result")
    if not isinstance(result, bytes):
        raise RemoteProtocolError("ng: a reply without a result")
    reason = value.get(b"error-reason", b"")
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else ""
    return cookie, Reply(result.decode("ascii", "replace"), text, value)


def read_request(datagram: bytes) -> tuple[bytes, str, Mapping[bytes, Value]]:
    """Cookie, command and dictionary of a request, as an engine reads it. Raises RemoteProtocolError."""
    cookie, value = _split(datagram)
    command = value.get(b"command")
    if not isinstance(command, bytes):
        raise RemoteProtocolError("ng: a request without a command")
    return cookie, command.decode("ascii", "replace"), value


def _split(datagram: bytes) -> tuple[bytes, Mapping[bytes, Value]]:
    cookie = _COOKIE.match(datagram) if len(datagram) <= LONGEST else None
    if cookie is None:
        raise RemoteProtocolError("ng: no cookie")
    value = decode(datagram[cookie.end() :])
    if not isinstance(value, Mapping):
        raise RemoteProtocolError("ng: the message is no dictionary")
    return cookie[0][:-1], value
