"""Reliable provisional responses across the border (RFC 3262): one RSeq series for the caller.

The forks of the called side number their responses each for itself, the caller sees one dialog and
wants every number once. So we number anew, and a PRACK is led back to the fork that it acknowledges.
"""

from __future__ import annotations

import re

from cubeproxy.protocols.sip.message import Request, Response

_RSEQ = re.compile(r"[0-9]{1,10}", re.ASCII)
_RACK = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,10})[ \t]+(\S+)", re.ASCII)

FIRST = 1


def rseq_of(response: Response) -> int | None:
    """The RSeq of a reliable provisional response, None of any other."""
    text = response.headers.get("RSeq") or ""
    return int(text) if _RSEQ.fullmatch(text) else None


def rack_of(request: Request) -> tuple[int, int, str] | None:
    """(RSeq, CSeq number, method) that a PRACK acknowledges; None when it names nothing."""
    match = _RACK.fullmatch((request.headers.get("RAck") or "").strip(" \t"))
    return (int(match[1]), int(match[2]), match[3]) if match else None


class Reliable:
    """What the caller knows a fork's reliable response as."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, int], int] = {}  # (To tag, RSeq) of the called side -> RSeq of ours

    def number(self, tag: str, rseq: int) -> int:
        """The same response again keeps its number."""
        return self._numbers.setdefault((tag, rseq), FIRST + len(self._numbers))

    def origin(self, number: int) -> tuple[str, int] | None:
        """(To tag, RSeq) behind a number of ours."""
        return next((origin for origin, ours in self._numbers.items() if ours == number), None)
