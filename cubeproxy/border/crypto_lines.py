"""Which crypto line of a description counts: the one we answer, the one that was taken, those that pass as they are."""

from __future__ import annotations

import re

from cubeproxy.border.descriptions import Refused
from cubeproxy.border.interworking import Keys, carried
from cubeproxy.border.plan import Peer
from cubeproxy.protocols.sdes import CryptoLine, choose, offered, read_lines
from cubeproxy.protocols.sdp import Media
from cubeproxy.protocols.suites import MasterKey

_SUITE_NAME = re.compile(r"[A-Z0-9_]{1,40}", re.ASCII)


def choose_line(media: Media, peer: Peer, keys: Keys) -> CryptoLine:
    """The line of an offer that we answer: the first whose suite the dial peer has and whose keys can be used."""
    lines, errors = read_lines(media.crypto)
    usable = [line for line in lines if keys.mki or not any(key.mki for key in line.keys)]
    line = choose(usable, carried(peer.suites, keys))
    if line is None:
        details = [str(error) for error in errors[:1]] + ([keys.why] if choose(lines, peer.suites) else [])
        raise Refused("no-suite", "; ".join([f"suites offered: {_names(lines)}", *details]))
    return line


def taken_line(media: Media, ours: list[CryptoLine], keys: Keys) -> tuple[MasterKey, MasterKey]:
    """What an answer agrees to of the lines that we offered: (the peer's key, ours)."""
    lines, _ = read_lines(media.crypto)
    if not lines:
        raise Refused("no-suite", "SRTP answer without a crypto line")
    if lines[0].key.mki and not keys.mki:
        raise Refused("no-suite", keys.why)
    return lines[0].key, offered(ours, lines[0]).key


def passing_lines(media: Media) -> list[CryptoLine]:
    """The lines of an offer that pass as they are (`srtp pass-thru`), those of suites that we do not know included."""
    lines, errors = read_lines(media.crypto)
    if not lines:
        raise Refused("no-suite", str(errors[0]) if errors else "SRTP offered without a crypto line")
    return lines


def passing_answer(media: Media, offer: list[CryptoLine]) -> CryptoLine:
    """The line of an answer that passes: it must take one that was offered (RFC 4568 5.1.3)."""
    lines, _ = read_lines(media.crypto)
    if len(lines) == 1 and any(_same(lines[0], line) for line in offer):
        return lines[0]
    raise Refused("no-suite", f"suites answered: {_names(lines)}")


def _same(first: CryptoLine, second: CryptoLine) -> bool:
    return (first.tag, first.suite, first.name) == (second.tag, second.suite, second.name)


def _names(lines: list[CryptoLine]) -> str:
    return ", ".join(line.suite.value if line.suite else _suite_name(line.name) for line in lines) or "none"


def _suite_name(text: str) -> str:
    """An unknown suite as it may be shown: in a line that was written wrongly, a key can stand in its place."""
    return text if _SUITE_NAME.fullmatch(text) else "(no suite's name)"
