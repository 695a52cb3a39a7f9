"""Where branches, tags, Call-IDs and client nonces come from.

Two rules: the source is the operating system's (`secrets`), because a guessed tag or branch lets a stranger
into a call; and nothing is pooled, so that a forked process never repeats its parent. Everything is lower-case
hexadecimal: there are peers that fold the case of a branch.
"""

from __future__ import annotations

import random
import secrets

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 8.1.1.7: the branch is unique, and may be matched on alone


class Tokens:
    """Unguessable text from the operating system."""

    __slots__ = ()

    def _hex(self, octets: int) -> str:
        return secrets.token_hex(octets)

    def branch(self) -> str:
        """A Via branch: the magic cookie and 96 bits."""
        return MAGIC_COOKIE + self._hex(12)

    def tag(self) -> str:
        """A From or To tag: 64 bits (RFC 3261 19.3 asks for 32 at least)."""
        return self._hex(8)

    def call_id(self) -> str:
        """A Call-ID without a host part: 128 bits."""
        return self._hex(16)

    def cnonce(self) -> str:
        """A digest client nonce: 64 bits (RFC 7616 3.4)."""
        return self._hex(8)


class SeededTokens(Tokens):
    """The same sequence for the same seed. For tests and replays only."""

    __slots__ = ("_random",)

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def _hex(self, octets: int) -> str:
        return self._random.randbytes(octets).hex()
