"""Security descriptions: the crypto attribute of SDP (RFC 4568), for the four suites and those we only know of.

Two rules of this file. A line that cannot be used raises RemoteProtocolError(488) about that line alone:
`read_lines` sets it aside and goes on to the next. Base64 is padded when written and accepted without padding
(some rtpengine releases drop it), anything else that is not base64 is refused.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.suites import MasterKey, Suite

MAX_LIFETIME = 2**48  # SRTP packets under one master key (RFC 3711 9.2)
MAX_VALUE = 4096  # characters in one crypto value

_LINE = re.compile(r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]+)[ \t]+([!-~]+)((?:[ \t]+[!-~]+)*)[ \t]*", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_LIFETIME = re.compile(r"(2\^)?([0-9]{1,15})", re.ASCII)
_MKI = re.compile(r"([0-9]{1,310}):([0-9]{1,3})", re.ASCII)  # 128 octets are 309 digits
_SMALL = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(slots=True)
class SessionParameters:
    """RFC 4568 6.3. `extensions` are unknown ones as written; one that begins with "-" may be ignored."""

    kdr: int | None = None  # the key is derived anew every 2^kdr packets, 0..24
    unencrypted_srtp: bool = False
    unencrypted_srtcp: bool = False
    unauthenticated_srtp: bool = False
    fec_order: str | None = None  # "FEC_SRTP" or "SRTP_FEC"
    fec_keys: tuple[MasterKey, ...] = ()
    wsh: int | None = None  # window size hint for replay protection, packets, >= 64
    extensions: tuple[str, ...] = ()

    @property
    def obstacles(self) -> list[str]:
        """Those that change what is on the wire in a way that we do not do: the line must not be chosen.

        WSH is a hint, and FEC_ORDER speaks of a stream that we never send: both are harmless.
        """
        found = {
            "KDR": self.kdr is not None,
            "UNENCRYPTED_SRTP": self.unencrypted_srtp,
            "UNENCRYPTED_SRTCP": self.unencrypted_srtcp,
            "UNAUTHENTICATED_SRTP": self.unauthenticated_srtp,
            "FEC_KEY": bool(self.fec_keys),
        }
        mandatory = [text for text in self.extensions if not text.startswith("-")]
        return [name for name, present in found.items() if present] + mandatory

    def words(self) -> list[str]:
        """As they are written, in a fixed order."""
        words = [f"KDR={self.kdr}"] if self.kdr is not None else []
        flags = ("unencrypted_srtp", "unencrypted_srtcp", "unauthenticated_srtp")
        words += [name.upper() for name in flags if getattr(self, name)]
        words += [f"FEC_ORDER={self.fec_order}"] if self.fec_order else []
        words += [f"FEC_KEY={write_keys(self.fec_keys)}"] if self.fec_keys else []
        words += [f"WSH={self.wsh}"] if self.wsh is not None else []
        return words + list(self.extensions)


@dataclass(slots=True)
class CryptoLine:
    """One crypto attribute. Of an unknown suite only the name and the raw text (`rest`) are kept."""

    tag: int
    suite: Suite | None
    keys: tuple[MasterKey, ...] = ()
    parameters: SessionParameters = field(default_factory=SessionParameters)
    name: str = ""  # suite name as written, for unknown suites
    rest: str = field(default="", repr=False)  # key and session parameters of an unknown suite: a secret

    @classmethod
    def own(cls, tag: int, key: MasterKey) -> CryptoLine:
        """A line of ours: one key, no session parameters."""
        return cls(tag, key.suite, (key,))

    @classmethod
    def parse(cls, value: str) -> CryptoLine:
        """The value of `a=crypto:`. RemoteProtocolError 488 with the tag, never the key, in its text."""
        match = _LINE.fullmatch(value) if len(value) <= MAX_VALUE else None
        if match is None:
            raise _bad("crypto line is not tag, suite and key")
        tag, name, keys, parameters = int(match[1]), match[2], match[3], match[4].split()
        suite = _SUITES.get(name.upper())
        if suite is None:
            return cls(tag, None, name=name, rest=" ".join([keys, *parameters]))
        try:
            return cls(tag, suite, read_keys(suite, keys), read_parameters(suite, parameters))
        except RemoteProtocolError as error:
            raise _bad(f"crypto line {tag} {name}: {error}") from None

    def serialise(self) -> str:
        if self.suite is None:
            return f"{self.tag} {self.name} {self.rest}"
        return " ".join([str(self.tag), self.suite.value, write_keys(self.keys), *self.parameters.words()])

    @property
    def usable(self) -> bool:
        """Whether we can protect and verify packets by this line."""
        return self.suite is not None and not self.parameters.obstacles

    @property
    def key(self) -> MasterKey:
        """The key that the line's writer sends with first."""
        return self.keys[0]


_SUITES = {suite.value: suite for suite in Suite}


def read_lines(values: Iterable[str]) -> tuple[list[CryptoLine], list[RemoteProtocolError]]:
    """All lines that can be read, in order, and an error for each that cannot.

    A tag must be unique within a stream (RFC 4568 4.1): the second line with it is an error.
    """
    lines: list[CryptoLine] = []
    errors: list[RemoteProtocolError] = []
    for value in values:
        try:
            line = CryptoLine.parse(value)
            if any(line.tag == other.tag for other in lines):
                raise _bad(f"crypto tag {line.tag} stands twice")
            lines.append(line)
        except RemoteProtocolError as error:
            errors.append(error)
    return lines, errors


def choose(lines: Sequence[CryptoLine], preference: Sequence[Suite], *, ours_first: bool = False) -> CryptoLine | None:
    """The line to answer: of those we can use, whose suite is in `preference`, the first as offered.

    The offerer's order decides (RFC 4568 5.1.2), `ours_first` lets the order of `preference` decide.
    """
    usable = [line for line in lines if line.usable and line.suite in preference]
    if ours_first:
        usable.sort(key=lambda line: preference.index(line.suite) if line.suite else 0)
    return usable[0] if usable else None


def offered(lines: Iterable[CryptoLine], answer: CryptoLine) -> CryptoLine:
    """The line of our offer that an answer took: same tag, same suite (RFC 4568 5.1.3), else 488."""
    for line in lines:
        if line.tag == answer.tag and line.suite is answer.suite and answer.usable:
            return line
    raise _bad(f"answer takes crypto line {answer.tag}, which was not offered like that")


def fresh(suite: Suite, rng: Callable[[int], bytes] = secrets.token_bytes) -> MasterKey:
    """A new master key and salt, for one direction of one leg of one session (RFC 4568 6.1: never shared)."""
    return MasterKey(suite, rng(suite.sizes.master))


def read_keys(suite: Suite, text: str) -> tuple[MasterKey, ...]:
    """`inline:...;inline:...`. With several keys each needs an MKI, all of one length, none twice (RFC 4568 6.1)."""
    keys = tuple(_read_key(suite, part) for part in text.split(";"))
    if len(keys) > 1:
        names = {key.mki for key in keys}
        if b"" in names or len(names) != len(keys) or len({len(name) for name in names}) != 1:
            raise _bad("several keys need MKIs that differ and have one length")
    return keys


def write_keys(keys: Iterable[MasterKey]) -> str:
    return ";".join(_write_key(key) for key in keys)


def _read_key(suite: Suite, text: str) -> MasterKey:
    method, _, info = text.partition(":")
    encoded, *rest = info.split("|")
    if method.lower() != "inline" or len(rest) > 2:
        raise _bad("key parameter is not inline:key|lifetime|MKI:length")
    master = _decode(encoded)
    if len(master) != suite.sizes.master:
        raise _bad(f"key and salt are {len(master)} octets, not {suite.sizes.master}")
    mki = _read_mki(rest.pop()) if rest and ":" in rest[-1] else b""
    lifetime = _read_lifetime(rest.pop()) if rest else None
    if rest:
        raise _bad("key parameter with two lifetimes")
    return MasterKey(suite, master, mki, lifetime)


def _write_key(key: MasterKey) -> str:
    parts = ["inline:" + base64.b64encode(key.master).decode()]
    if key.lifetime is not None:
        power = key.lifetime.bit_length() - 1
        parts.append(f"2^{power}" if key.lifetime == 1 << power else str(key.lifetime))
    if key.mki:
        parts.append(f"{int.from_bytes(key.mki, 'big')}:{len(key.mki)}")
    return "|".join(parts)


def _decode(text: str) -> bytes:
    match = _BASE64.fullmatch(text)
    bare = text.rstrip("=")
    if match is None or len(bare) % 4 == 1 or (len(text) != len(bare) and len(text) % 4):
        raise _bad("key is not base64")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _read_lifetime(text: str) -> int:
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise _bad("lifetime is neither a number nor a power of two")
    number = int(match[2])
    lifetime = number if match[1] is None else 1 << min(number, 49)
    if not 1 <= lifetime <= MAX_LIFETIME:
        raise _bad("lifetime is not in 1..2^48")
    return lifetime


def _read_mki(text: str) -> bytes:
    match = _MKI.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 128 or int(match[1]).bit_length() > int(match[2]) * 8:
        raise _bad("MKI does not fit its length")
    return int(match[1]).to_bytes(int(match[2]), "big")


def read_parameters(suite: Suite, words: Iterable[str]) -> SessionParameters:
    """Session parameters of a known suite. A known one with a bad value, or one twice, makes the line unusable."""
    parameters = SessionParameters()
    seen: set[str] = set()
    for word in words:
        name, equals, value = word.partition("=")
        if name in seen:
            raise _bad(f"{name} stands twice")
        seen.add(name)
        reader = _READERS.get(name)
        if reader is None:
            parameters.extensions += (word,)
        elif reader(parameters, suite, value if equals else None):
            raise _bad(f"{name} with a bad value")
    return parameters


def _flag(name: str) -> Callable[[SessionParameters, Suite, str | None], bool]:
    def read(parameters: SessionParameters, suite: Suite, value: str | None) -> bool:
        setattr(parameters, name, True)
        return value is not None

    return read


def _number(name: str, least: int, most: int) -> Callable[[SessionParameters, Suite, str | None], bool]:
    def read(parameters: SessionParameters, suite: Suite, value: str | None) -> bool:
        number = int(value) if value and _SMALL.fullmatch(value) else -1
        setattr(parameters, name, number)
        return not least <= number <= most

    return read


def _read_fec_order(parameters: SessionParameters, suite: Suite, value: str | None) -> bool:
    parameters.fec_order = value
    return value not in ("FEC_SRTP", "SRTP_FEC")


def _read_fec_key(parameters: SessionParameters, suite: Suite, value: str | None) -> bool:
    parameters.fec_keys = read_keys(suite, value or "")
    return False


# Each reader stores its value and tells whether it was bad.
_READERS = {
    "KDR": _number("kdr", 0, 24),
    "UNENCRYPTED_SRTP": _flag("unencrypted_srtp"),
    "UNENCRYPTED_SRTCP": _flag("unencrypted_srtcp"),
    "UNAUTHENTICATED_SRTP": _flag("unauthenticated_srtp"),
    "FEC_ORDER": _read_fec_order,
    "FEC_KEY": _read_fec_key,
    "WSH": _number("wsh", 64, 999_999_999),
}


def _bad(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, 488)
