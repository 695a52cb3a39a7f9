"""Why a chain has no anchor: OpenSSL's codes, each under one refusal."""

from __future__ import annotations

from cubeproxy.pki.anchors import REFUSALS, Refusal


def test_every_refusal_has_codes_and_no_two_share_one() -> None:
    """`()` as a member's value is an `object()` in Python 3.11.2, and the module cannot be loaded there."""
    for refusal in Refusal:
        assert isinstance(refusal.value, tuple)
        assert refusal.value
    assert len(REFUSALS) == sum(len(refusal.value) for refusal in Refusal)
