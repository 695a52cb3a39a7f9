"""One line of configuration: its words, and the reading of values from them.

Two rules: every reader says in its error what was expected, what was found and what would be right;
and keywords may be abbreviated to a unique prefix, as on the router.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from cubeproxy.protocols.errors import ConfigError

WORD = re.compile(r"[^ \t]+")
NUMBER = re.compile(r"[0-9]{1,10}")
NAME = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*\.?"
)
SHOWN = 60  # characters of a bad value that an error repeats


def pick(word: str, keywords: Collection[str]) -> str | None:
    """The keyword that `word` names: itself, or the only one that begins with it. None otherwise."""
    word = word.lower()
    if word in keywords:
        return word
    found = [keyword for keyword in keywords if keyword.startswith(word)]
    return found[0] if len(found) == 1 else None


class Line:
    """The words of a line after `no`, with a position that the readers below move forward."""

    __slots__ = ("indent", "negated", "number", "position", "spans", "text")

    def __init__(self, number: int, text: str) -> None:
        self.number = number  # from 1
        self.text = text
        self.spans = [match.span() for match in WORD.finditer(text)]
        self.indent = self.spans[0][0] if self.spans else 0
        self.negated = bool(self.spans) and self.word(0).lower() == "no"
        self.position = int(self.negated)

    def word(self, index: int) -> str:
        start, end = self.spans[index]
        return self.text[start:end]

    @property
    def words(self) -> list[str]:
        """What is still to be read. A word that begins with `!` starts a comment."""
        left: list[str] = []
        for index in range(self.position, len(self.spans)):
            word = self.word(index)
            if word.startswith("!"):
                break
            left.append(word)
        return left

    def error(self, text: str, fix: str = "") -> ConfigError:
        return ConfigError(text, self.number, fix)

    def peek(self) -> str | None:
        if self.position >= len(self.spans):
            return None
        word = self.word(self.position)
        return None if word.startswith("!") else word

    def take(self, what: str) -> str:
        """The next word. ConfigError when there is none."""
        word = self.peek()
        if word is None:
            raise self.error(f"{what} is missing after '{self._said()}'")
        self.position += 1
        return word

    def accept(self, *keywords: str) -> str | None:
        """The keyword that comes next, if it is one of these; nothing moves otherwise."""
        word = self.peek()
        found = pick(word, keywords) if word is not None else None
        if found is not None:
            self.position += 1
        return found

    def choose(self, what: str, keywords: Collection[str]) -> str:
        word = self.take(what)
        found = pick(word, keywords)
        if found is None:
            raise self.error(f"{what} '{shown(word)}' is not one of {', '.join(keywords)}")
        return found

    def name(self, what: str, limit: int = 64) -> str:
        word = self.take(what)
        if len(word) > limit:
            raise self.error(f"{what} has {len(word)} characters, at most {limit} are allowed")
        return word

    def integer(self, what: str, low: int, high: int) -> int:
        word = self.take(what)
        value = int(word) if NUMBER.fullmatch(word) else -1
        if not low <= value <= high:
            raise self.error(f"{what} '{shown(word)}' is not a number from {low} to {high}")
        return value

    def address(self, what: str) -> str:
        """An IPv4 or IPv6 literal, in its canonical spelling."""
        return self.literal(self.take(what), what)

    def literal(self, word: str, what: str) -> str:
        try:
            return str(ipaddress.ip_address(word))
        except ValueError:
            raise self.error(f"{what} '{shown(word)}' is not an IP address") from None

    def family(self) -> None:
        """The keyword `ipv4` or `ipv6`, which the vendor's own examples leave out here and there."""
        self.accept("ipv4", "ipv6")

    def network(self, address: str, what: str) -> str:
        """The address with the mask that follows, as CIDR. Without a mask: that host alone."""
        mask = self.peek()
        if mask is None:
            return f"{address}/{128 if ':' in address else 32}"
        self.position += 1
        try:
            return str(ipaddress.ip_network(f"{address}/{mask}", strict=False))
        except ValueError:
            raise self.error(f"{what} '{shown(mask)}' is not a mask", "a mask is written as 255.255.255.0") from None

    def network_mask(self, mask: str) -> None:
        """ConfigError unless `mask` is a network mask: ones, then zeros."""
        bits = int(ipaddress.ip_address(mask))
        inverted = bits ^ 0xFFFFFFFF
        if ":" in mask or inverted & (inverted + 1):
            raise self.error(f"'{mask}' is not a mask", "a mask is written as 255.255.255.0")

    def rest(self, what: str, limit: int = 0) -> str:
        """Everything that is left, as it stands. `limit` is in characters, 0 for none."""
        if self.position >= len(self.spans):
            raise self.error(f"{what} is missing after '{self._said()}'")
        text = self.text[self.spans[self.position][0] :].rstrip()
        self.position = len(self.spans)
        if limit and len(text) > limit:
            raise self.error(f"{what} has {len(text)} characters, at most {limit} are allowed")
        return text

    def end(self) -> None:
        """Nothing may follow."""
        word = self.peek()
        if word is not None:
            raise self.error(f"'{shown(word)}' is not expected after '{self._said()}'")

    def _said(self) -> str:
        start = self.spans[0][0] if self.spans else 0
        end = self.spans[self.position - 1][1] if self.position else 0
        return shown(self.text[start:end])


def shown(text: str) -> str:
    """A value as an error repeats it: short."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
