"""One media description: an m= line and the lines below it (RFC 8866 5.14, RFC 3264, RFC 3605).

Two rules of this file: what is read keeps its order, and a method looks no further than it is told:
whatever a session-level line may decide takes the session as an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdp.addresses import is_null, read_connection, write_connection
from cubeproxy.protocols.sdp.payloads import STATIC_PAYLOAD_TYPES
from cubeproxy.protocols.sdp.section import Attribute, Section, optional
from cubeproxy.protocols.values import Address, Codec

if TYPE_CHECKING:
    from cubeproxy.protocols.sdp.session import SessionDescription

MAX_FORMATS = 64

_M_LINE = re.compile(r"([!-~]+) +([0-9]{1,5})(?:/([0-9]{1,5}))? +([!-~]+)((?: +[!-~]+)+) *", re.ASCII)
_RTPMAP = re.compile(r"([!-.0-~]+)/([0-9]{1,6})(?:/([0-9]{1,2}))? *", re.ASCII)
_RTCP = re.compile(r"([0-9]{1,5})(?: +(IN +IP[46] +[!-~]+))? *", re.ASCII)
_NUMBER = re.compile(r"([0-9]{1,5})(?:\.[0-9]{1,9})? *", re.ASCII)
_LONGEST_RTPMAP = 80  # characters; what is longer names no codec
_PAYLOAD_TYPE = re.compile(r"[0-9]{1,3}", re.ASCII)


class Direction(Enum):
    """Seen from whoever wrote the description (RFC 3264 5.1): the value is (sends, receives)."""

    INACTIVE = (False, False)
    RECVONLY = (False, True)
    SENDONLY = (True, False)
    SENDRECV = (True, True)

    @property
    def sends(self) -> bool:
        return self._value_[0]  # `value` goes through a descriptor, at ten times the cost

    @property
    def receives(self) -> bool:
        return self._value_[1]

    @property
    def attribute(self) -> str:
        return self.name.lower()

    @property
    def mirrored(self) -> Direction:
        """The same stream seen from the other end."""
        return Direction((self.receives, self.sends))


_DIRECTIONS = {direction.attribute: direction for direction in Direction}


@dataclass(slots=True)
class Media(Section):
    """An m= line with its lines. `formats` are payload types as text, where the protocol is RTP."""

    kind: str  # "audio", "video", "application", "image", ...
    port: int  # 0 refuses the stream
    protocol: str  # "RTP/AVP", "RTP/SAVP", "udptl", ...
    formats: list[str]
    port_count: int = 1

    @classmethod
    def from_line(cls, value: str) -> Media:
        """The value of an m= line; RemoteProtocolError 400 for the grammar, 488 for too many formats."""
        match = _M_LINE.fullmatch(value)
        if match is None:
            raise RemoteProtocolError("SDP: bad m= line")
        kind, port, count, protocol, formats = match.groups()
        number, ports = int(port), int(count or 1)
        if number > 65535 or not ports:
            raise RemoteProtocolError("SDP: m= line with an impossible port")
        names = [name for name in formats.split(" ") if name]
        if len(names) > MAX_FORMATS:
            raise RemoteProtocolError(f"SDP: more than {MAX_FORMATS} formats in an m= line", 488)
        return cls(kind, number, protocol, names, ports)

    def copy(self, **changes: Any) -> Media:
        """A copy that shares no list with this one, with fields changed."""
        fresh = {name: list(getattr(self, name)) for name in ("formats", "bandwidth", "attributes", "kept")}
        return replace(self, **{**fresh, **changes})

    def refused(self) -> Media:
        """This m-line in an answer that does not want it: port 0 and the formats, nothing else (RFC 3264 6)."""
        return Media(self.kind, 0, self.protocol, list(self.formats))

    # What the stream is.

    @property
    def is_rtp(self) -> bool:
        return "RTP/" in self.protocol

    @property
    def is_secure(self) -> bool:
        """SRTP by its profile, which is what decides (RFC 4568 5.1); crypto lines alone do not."""
        return self.protocol in ("RTP/SAVP", "RTP/SAVPF")

    @property
    def crypto(self) -> list[str]:
        """Values of the crypto attributes in the writer's order of preference, for `sdes.read_lines`."""
        return self.all("crypto")

    @property
    def rtcp_mux(self) -> bool:
        return self.get("rtcp-mux") is not None

    @property
    def ptime(self) -> int | None:
        """Preferred packet duration, ms."""
        return self._milliseconds("ptime")

    def _milliseconds(self, name: str) -> int | None:
        match = _NUMBER.fullmatch(self.get(name) or "")
        return int(match[1]) or None if match else None

    def direction(self, session: SessionDescription | None = None) -> Direction:
        """The direction attribute of this m-line, else of the session, else sendrecv (RFC 3264 5.1)."""
        return self.stated_direction(session) or Direction.SENDRECV

    def stated_direction(self, session: SessionDescription | None = None) -> Direction | None:
        """The same, None where nothing is written."""
        for lines in (self.attributes, session.attributes if session else ()):
            for attribute in lines:
                if attribute.name in _DIRECTIONS:
                    return _DIRECTIONS[attribute.name]
        return None

    def set_direction(self, direction: Direction) -> None:
        """Replace the direction in its place; sendrecv is written too, so that a session line cannot override it."""
        self.replace(tuple(_DIRECTIONS), Attribute(direction.attribute))

    @property
    def payload_types(self) -> list[int]:
        """The formats of an RTP m-line in order; what is no payload type is left out."""
        return [number for name in self.formats if _PAYLOAD_TYPE.fullmatch(name) and (number := int(name)) < 128]

    def rtpmap(self, payload_type: int) -> Codec | None:
        """The codec of a payload type, by its rtpmap or by the static table; None when neither tells."""
        return _codec(payload_type, self._parameters("rtpmap").get(str(payload_type)))

    def fmtp(self, payload_type: int) -> str | None:
        """Format parameters as written, None when there are none."""
        return self._parameters("fmtp").get(str(payload_type))

    def codecs(self) -> list[tuple[int, Codec]]:
        """(payload type, codec) in the writer's order of preference, without those whose codec nobody can tell."""
        maps = self._parameters("rtpmap")
        numbers = self.payload_types
        return [(number, codec) for number in numbers if (codec := _codec(number, maps.get(str(number)))) is not None]

    def payload_type(self, name: str, clock: int = 8000) -> int | None:
        """The first payload type of that encoding name (lower case) and clock."""
        for number, codec in self.codecs():
            if codec.name == name and codec.clock == clock:
                return number
        return None

    def _parameters(self, name: str) -> dict[str, str]:
        """Payload type as text -> the rest of `a=name:PT rest`, by the first line about it."""
        found: dict[str, str] = {}
        for attribute, value in self.attributes:
            if attribute == name and value is not None:
                number, _, rest = value.partition(" ")
                found.setdefault(number, rest.lstrip(" "))
        return found

    # Addresses.

    def address(self, session: SessionDescription) -> Address | None:
        """Where the writer wants its media: None where it wants none (port 0, or c=0.0.0.0).

        RemoteProtocolError 488 when there is no connection line, or none that names an address.
        """
        if not self.port:
            return None
        host = self._host(session)
        return None if is_null(host) else (host, self.port)

    def rtcp_address(self, session: SessionDescription, *, muxed: bool = True) -> Address | None:
        """Where RTCP goes: `a=rtcp` (RFC 3605), the media port with rtcp-mux, else the next port.

        `muxed` is whether the other end agreed to rtcp-mux: an offer of it alone binds nobody (RFC 5761 5.1.1).
        """
        media = self.address(session)
        if media is None or (self.rtcp_mux and muxed):
            return media
        text = self.get("rtcp")
        if text is None:
            return (media[0], min(media[1] + 1, 65535))
        match = _RTCP.fullmatch(text)
        if match is None or not 0 < int(match[1]) < 65536:
            raise RemoteProtocolError("SDP: bad a=rtcp", 488)
        host = read_connection(match[2]) if match[2] else media[0]
        return None if is_null(host) else (host, int(match[1]))

    def set_address(self, address: Address) -> None:
        """Media-level connection and port; an `a=rtcp` that told of another port goes."""
        self.connection, self.port = write_connection(address[0]), address[1]
        self.remove("rtcp")

    def _host(self, session: SessionDescription) -> str:
        connection = self.connection or session.connection
        if connection is None:
            raise RemoteProtocolError("SDP: no connection line for the stream", 488)
        return read_connection(connection)

    def lines(self) -> list[str]:
        """The lines of this media description in the order of RFC 8866 9, without line ends."""
        count = f"/{self.port_count}" if self.port_count != 1 else ""
        head = f"m={self.kind} {self.port}{count} {self.protocol} {' '.join(self.formats)}"
        rows = [head, *optional("i", self.title), *self.connection_lines(), *optional("k", self.key)]
        return rows + self.attribute_lines()


def _codec(payload_type: int, text: str | None) -> Codec | None:
    """The codec by the text of an rtpmap, by the static table when there is none."""
    if text is None:
        return STATIC_PAYLOAD_TYPES.get(payload_type)
    return _named(text) if len(text) <= _LONGEST_RTPMAP else None


@lru_cache(256)
def _named(text: str) -> Codec | None:
    """The same few all day long."""
    match = _RTPMAP.fullmatch(text)
    if match is None or not int(match[2]):
        return None
    return Codec(match[1].lower(), int(match[2]), int(match[3] or 1) or 1)
