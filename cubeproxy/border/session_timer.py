"""Session timers as the element between sees them (RFC 4028).

The two ends negotiate and refresh through us. What is left for us is the case that neither end
refreshes, because both are gone: then the call is ended here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cubeproxy.protocols.sip.message import Response

GRACE = 5.0  # s after the session interval, so that an end that is still there acts first (RFC 4028 10)

_INTERVAL = re.compile(r"\s*([0-9]{1,9})\s*(?:;.*)?", re.ASCII | re.DOTALL)


_REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)\b", re.ASCII | re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Timer:
    """What both ends have agreed on: the interval in seconds, and the leg whose peer refreshes."""

    interval: int
    refresher: int

    @classmethod
    def of(cls, response: Response, asker: int) -> Timer | None:
        """By a 2xx to what leg `asker`'s peer asked; None without a timer."""
        value = response.headers.get("Session-Expires") or ""
        match, refresher = _INTERVAL.fullmatch(value), _REFRESHER.search(value)
        if match is None:
            return None
        return cls(int(match[1]), 1 - asker if refresher and refresher[1].lower() == "uas" else asker)

    def header(self, leg: int) -> str:
        """Session-Expires of a re-INVITE of our own to the peer of a leg: without it the peer would drop the timer."""
        return f"{self.interval};refresher={'uas' if self.refresher == leg else 'uac'}"


def refresh_deadline(response: Response, now: float) -> float | None:
    """When a session that is not refreshed ends, by the 2xx that set its interval; None without a timer."""
    match = _INTERVAL.fullmatch(response.headers.get("Session-Expires") or "")
    return now + int(match[1]) + GRACE if match else None
