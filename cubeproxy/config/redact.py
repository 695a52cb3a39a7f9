"""What an ignored line looks like when it is reported: no secrets, no control characters, not long."""

from __future__ import annotations

import re

SHOWN = 200  # characters
_SECRET = re.compile(
    r"(?i)\b(password|secret|community|key-string|pre-shared-key|passphrase|authentication-key|key|md5|md7|sha\d*|auth|priv)"
    r"((?: +\d{1,2})? +)(?!chain\b|generate\b|zeroize\b|mypubkey\b|pubkey-chain\b)(\S.*)$"
)


def reported(text: str) -> str:
    """The line as the operator sees it again: everything behind a word that introduces a secret is gone."""
    text = "".join(letter if letter.isprintable() else " " for letter in text.strip()[: 2 * SHOWN])
    return _SECRET.sub(r"\1\2<redacted>", text)[:SHOWN]
