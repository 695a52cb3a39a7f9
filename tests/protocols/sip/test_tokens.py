"""Branches, tags, Call-IDs and nonces."""

from __future__ import annotations

import re

import pytest

from cubeproxy.protocols.sip.tokens import SeededTokens, Tokens


@pytest.mark.parametrize("tokens", [Tokens(), SeededTokens(3)])
def test_their_form_and_size(tokens: Tokens) -> None:
    """Lower-case hexadecimal, of so many bits that none comes twice."""
    assert re.fullmatch(r"z9hG4bK[0-9a-f]{24}", tokens.branch())
    assert re.fullmatch(r"[0-9a-f]{16}", tokens.tag())
    assert re.fullmatch(r"[0-9a-f]{32}", tokens.call_id())
    assert re.fullmatch(r"[0-9a-f]{16}", tokens.cnonce())
    assert len({tokens.tag() for _ in range(1000)}) == 1000


def test_a_seed_gives_the_same_sequence_again() -> None:
    assert SeededTokens(5).branch() == SeededTokens(5).branch() != SeededTokens(6).branch()
