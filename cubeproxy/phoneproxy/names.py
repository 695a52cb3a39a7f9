"""Which file a phone asks for, and what becomes of it: a table of names. A name that is not in it is not served.

No path is ever joined from what a phone says: a name is matched whole, in ASCII, and no component can begin with a dot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

LONGEST = 128  # characters


class Kind(Enum):
    """What the proxy does with a file."""

    CTL = "ctl"  # ours, never the cluster's
    ITL = "itl"  # ours too, so that a phone holding our CTL never meets the cluster's
    DEVICE_CONFIG = "device-config"  # fetched, rewritten, signed again
    DEFAULT_CONFIG = "default-config"  # the same, for a phone that is not provisioned
    ENCRYPTED_CONFIG = "encrypted-config"  # refused: nobody but the phone can read it
    RESOURCE = "resource"  # fetched, and signed again if asked for with `.sgn`
    FIRMWARE = "firmware"  # fetched as it is: it has its maker's signature


_DEVICE = r"(?P<device>SEP[0-9A-F]{12})"
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_SIGNED = r"(?P<signed>\.sgn)?"

# The first that matches decides.
PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.ASCII))
    for kind, pattern in (
        (Kind.CTL, rf"CTL(?:{_DEVICE}|File)\.tlv"),
        (Kind.ITL, rf"ITL(?:{_DEVICE}|File)\.tlv"),
        (Kind.ENCRYPTED_CONFIG, rf"{_DEVICE}\.cnf\.xml\.enc\.sgn"),
        (Kind.DEVICE_CONFIG, rf"{_DEVICE}\.cnf\.xml{_SIGNED}"),
        (Kind.DEFAULT_CONFIG, rf"XMLDefault\.cnf\.xml{_SIGNED}"),
        (Kind.RESOURCE, rf"(?:SK|DR|FP){_UUID}\.xml{_SIGNED}"),
        (Kind.RESOURCE, rf"(?:AppDialRules|DialTemplate|dialplan|softkeyDefault\w*)\.xml{_SIGNED}"),
        (Kind.RESOURCE, rf"(?:Distinctive)?Ring[Ll]ist\.xml{_SIGNED}"),
        (Kind.RESOURCE, rf"(?:{_WORD}/){{1,2}}{_WORD}\.(?:xml|jar|png|raw|rwb|json){_SIGNED}"),  # locale, backgrounds
        (Kind.RESOURCE, rf"{_WORD}\.(?:raw|rwb|png){_SIGNED}"),
        (Kind.FIRMWARE, rf"{_WORD}\.(?:loads|sbn|zz|bin|sbin|sb2|sebn|jar|tar)(?:\.sgn)?"),
    )
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`name` is as asked for; `device` is "" where the file is nobody's own."""

    kind: Kind
    name: str
    device: str
    signed: bool

    @property
    def plain_name(self) -> str:
        """The name without `.sgn`."""
        return self.name.removesuffix(".sgn") if self.signed else self.name


def classify(name: str) -> Wanted | None:
    """What is asked for, by TFTP or in the path of HTTP (one slash before it). None: no such file."""
    name = name.removeprefix("/")
    if len(name) > LONGEST:
        return None
    for kind, pattern in PATTERNS:
        match = pattern.fullmatch(name)
        if match is not None:
            found = match.groupdict()
            return Wanted(kind, name, found.get("device") or "", bool(found.get("signed")))
    return None
