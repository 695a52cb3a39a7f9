"""Which command a line that was passed over may have meant: a typing error looks like any foreign command."""

from __future__ import annotations

from difflib import get_close_matches
from types import ModuleType

from cubeproxy.config.commands import (
    dial_peer,
    dspfarm,
    interface,
    phone_proxy,
    pki,
    root,
    sip_ua,
    voice_class,
    voice_service,
)
from cubeproxy.config.grammar import Commands

LIKENESS = 0.85  # difflib's ratio; two exchanged letters of a word of ten leave 0.9, `login` has 0.83 of `logging`
SHORTEST = 5  # letters: shorter words are like too many others


def _known(*modules: ModuleType) -> frozenset[str]:
    return frozenset(
        words
        for module in modules
        for table in vars(module).values()
        if isinstance(table, Commands)
        for words in table.table
    )


KNOWN = _known(dial_peer, dspfarm, interface, phone_proxy, pki, root, sip_ua, voice_class, voice_service)
BY_LENGTH = {
    count: sorted(words for words in KNOWN if len(words.split()) == count) for count in {len(k.split()) for k in KNOWN}
}


def nearest(text: str) -> str:
    """The command whose words are almost those that `text` begins with, "" when it is one or resembles none."""
    words = text.lower().split()
    words = words[1:] if words[:1] == ["no"] else words
    found = ""
    for count, commands in sorted(BY_LENGTH.items()):
        start = " ".join(words[:count])
        if len(words) < count or start in KNOWN:
            break
        if len(start) >= SHORTEST:
            found = next(iter(get_close_matches(start, commands, 1, LIKENESS)), found)
    return found
