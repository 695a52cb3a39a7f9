"""Session descriptions (RFC 8866, RFC 4566): text -> typed lines -> text.

Three rules of this file. Lines end in CRLF or LF when read, in CRLF when written. What is read keeps its
order within its kind, unknown attributes and lines included; the kinds themselves are written in the order of
the grammar, so that nothing illegal leaves us. Size is bounded before anything is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sdp.media import Media
from cubeproxy.protocols.sdp.section import Section, optional

MAX_OCTETS = 65536
MAX_LINES = 5000
MAX_MEDIA = 16
MAX_CRYPTO = 32  # crypto lines in one media description

_ORIGIN = re.compile(r"([^ ]+) +([^ ]+) +([^ ]+) +([^ ]+) +([^ ]+) +([^ ]+) *")


@dataclass(slots=True)
class Origin:
    """The o= line. Identifier and version stay text: real ones are longer than any integer type allows."""

    address: str
    session_id: str = "0"
    version: str = "0"
    username: str = "-"
    network: str = "IN"
    family: str = "IP4"

    @classmethod
    def own(cls, address: str, session_id: int, version: int, username: str = "-") -> Origin:
        """An o= line of ours. The version must grow by one with every change (RFC 3264 8)."""
        return cls(address, str(session_id), str(version), username, "IN", "IP6" if ":" in address else "IP4")

    @classmethod
    def from_line(cls, value: str) -> Origin:
        match = _ORIGIN.fullmatch(value)
        if match is None:
            raise RemoteProtocolError("SDP: bad o= line")
        username, session_id, version, network, family, address = match.groups()
        return cls(address, session_id, version, username, network, family)

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {self.network} {self.family} {self.address}"


@dataclass(slots=True)
class SessionDescription(Section):
    """A whole description. Helpers that look at one stream live in `Media` and take this as an argument."""

    origin: Origin
    media: list[Media] = field(default_factory=list)
    name: str = "-"
    uri: str | None = None
    contacts: list[str] = field(default_factory=list)  # e= and p= lines as they stand
    times: list[str] = field(default_factory=lambda: ["t=0 0"])  # t=, r= and z= lines as they stand

    @classmethod
    def parse(cls, data: bytes | str) -> SessionDescription:
        """RemoteProtocolError 400 for what is no SDP, 488 for more of it than we take."""
        rows = _rows(data)
        if rows[0] != "v=0":
            raise RemoteProtocolError("SDP: does not begin with v=0")
        if len(rows) < 2 or not rows[1].startswith("o="):
            raise RemoteProtocolError("SDP: no o= line after v=")
        session = cls(Origin.from_line(rows[1][2:]), times=[], name="")
        section: Section = session
        for row in rows[2:]:
            if row[1:2] != "=" or not (row[0].isascii() and row[0].isalpha()):
                raise RemoteProtocolError("SDP: a line that is no type=value")
            if row[0] == "m":
                section = session.open_media(row[2:])
            else:
                section.read(row[0], row[2:])
        session.name = session.name or "-"
        session.times = session.times or ["t=0 0"]
        for media in session.media:
            if len(media.crypto) > MAX_CRYPTO:
                raise RemoteProtocolError(f"SDP: more than {MAX_CRYPTO} crypto lines in a stream", 488)
        return session

    def open_media(self, value: str) -> Media:
        if len(self.media) == MAX_MEDIA:
            raise RemoteProtocolError(f"SDP: more than {MAX_MEDIA} m= lines", 488)
        self.media.append(Media.from_line(value))
        return self.media[-1]

    def read(self, letter: str, value: str) -> None:
        """Take one session-level line: those that stand here only, then the common ones."""
        if letter == "s" and not self.name:
            self.name = value
        elif letter == "u" and self.uri is None:
            self.uri = value
        elif letter in "ep":
            self.contacts.append(f"{letter}={value}")
        elif letter in "trz":
            self.times.append(f"{letter}={value}")
        else:
            Section.read(self, letter, value)

    def serialise(self) -> bytes:
        """The text in the order of the grammar, with CRLF. LocalProtocolError if a value holds a line end."""
        rows = ["v=0", f"o={self.origin}", f"s={self.name}"]
        rows += optional("i", self.title) + optional("u", self.uri) + self.contacts
        rows += self.connection_lines() + self.times + optional("k", self.key) + self.attribute_lines()
        for media in self.media:
            rows += media.lines()
        text = "\r\n".join(rows)
        if text.count("\n") != len(rows) - 1 or text.count("\r") != len(rows) - 1:
            raise LocalProtocolError("SDP: a value with a line end in it")
        return (text + "\r\n").encode("utf-8", "surrogateescape")

    def copy(self, **changes: Any) -> SessionDescription:
        """A copy that shares nothing mutable with this one, with fields changed."""
        lists = ("contacts", "bandwidth", "times", "attributes", "kept")
        fresh: dict[str, Any] = {name: list(getattr(self, name)) for name in lists}
        fresh |= {"media": [media.copy() for media in self.media], "origin": replace(self.origin)}
        return replace(self, **{**fresh, **changes})

    @property
    def audio_index(self) -> int | None:
        """Place of the first audio stream that is not refused (port 0) and runs over RTP."""
        for place, media in enumerate(self.media):
            if media.kind == "audio" and media.port and media.is_rtp:
                return place
        return None

    @property
    def audio(self) -> Media | None:
        place = self.audio_index
        return None if place is None else self.media[place]

    def with_only(self, place: int, media: Media) -> list[Media]:
        """The m-lines of an answer that takes one stream: `media` at its place, all others refused (RFC 3264 6)."""
        return [media if i == place else other.refused() for i, other in enumerate(self.media)]


def _rows(data: bytes | str) -> list[str]:
    """Lines without their ends. Trailing empty lines are dropped; a NUL or a lone CR is an error (RFC 8866 9)."""
    if len(data) > MAX_OCTETS:
        raise RemoteProtocolError(f"SDP: longer than {MAX_OCTETS} octets", 488)
    text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
    text = text.replace("\r\n", "\n").rstrip("\n")
    rows = text.split("\n")
    if len(rows) > MAX_LINES:
        raise RemoteProtocolError(f"SDP: more than {MAX_LINES} lines", 488)
    if "\0" in text or "\r" in text:
        raise RemoteProtocolError("SDP: NUL or a lone CR")
    return rows
