"""Reads `show call active voice brief`: the demo believes what the proxy shows only where the wire agrees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cubeproxy.protocols.values import Address

_HEAD = re.compile(r"^([0-9A-F]+) +: .* pid:(\d+) (Answer|Originate) (\S*) *(\w+)$")
_COUNTS = re.compile(r"^ dur \S+ tx:(\d+)/\d+ rx:(\d+)/\d+")
_MEDIA = re.compile(r"^ IP ([0-9.]+):(\d+) SRTP: (on|off) .* (g711\w+) TextRelay")
_TOTAL = re.compile(r"^Total call-legs: (\d+)", re.MULTILINE)


@dataclass(slots=True)
class VoiceLeg:
    """One leg as shown. `remote` is the far end of its media, counts are packets."""

    peer: int  # dial peer
    direction: str  # Answer or Originate
    number: str
    state: str
    sent: int = 0
    received: int = 0
    remote: Address = ("", 0)
    srtp: bool = False
    codec: str = ""
    call: str = ""  # both legs of a call have it

    def __str__(self) -> str:
        host, port = self.remote
        on = "on" if self.srtp else "off"
        return f"pid:{self.peer} {self.direction} {host}:{port} SRTP: {on} tx:{self.sent} rx:{self.received}"


def read_legs(text: str) -> list[VoiceLeg]:
    """Every leg of the brief show, in order. Lines that belong to none are passed over."""
    legs: list[VoiceLeg] = []
    for line in text.splitlines():
        if head := _HEAD.match(line):
            legs.append(VoiceLeg(int(head[2]), head[3], head[4], head[5], call=head[1]))
        elif legs and (counts := _COUNTS.match(line)):
            legs[-1].sent, legs[-1].received = int(counts[1]), int(counts[2])
        elif legs and (media := _MEDIA.match(line)):
            legs[-1].remote = (media[1], int(media[2]))
            legs[-1].srtp, legs[-1].codec = media[3] == "on", media[4]
    return legs


def passed_on(legs: Sequence[VoiceLeg], ours: VoiceLeg) -> int | None:
    """Packets that left on the other SIP leg of the same call; None when it is not there."""
    others = [leg for leg in legs if leg.call == ours.call and leg.peer and leg is not ours]
    return others[0].sent if len(others) == 1 else None


def total_legs(text: str) -> int | None:
    """The counter `Total call-legs`; None when the show has none."""
    found = _TOTAL.search(text)
    return int(found[1]) if found else None
