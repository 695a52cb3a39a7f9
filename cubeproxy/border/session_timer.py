"""Session timers as the element between sees them (RFC 4028).

The two ends negotiate and refresh through us. What is left for us is the case that neither end
refreshes, because both are gone: then the call is ended here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cubeproxy.protocols.sip.message import Response

LEAST = 90  # s, of an interval
GRACE = 5.0  # s after the session interval, so that an end that is still there acts first (RFC 4028 10)

_INTERVAL = re.compile(r"\s*([0-9]{1,9})\s*(?:;.*)?", re.ASCII | re.DOTALL)
_REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)\b", re.ASCII | re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Timer:
    """What both ends have agreed on: the interval in seconds, the leg whose peer refreshes, and when it must have."""

    interval: int
    refresher: int
    until: float

    @classmethod
    def of(cls, response: Response, asker: int, now: float) -> Timer | None:
        """By a 2xx to what leg `asker`'s peer asked; None without a timer."""
        value = response.headers.get("Session-Expires") or ""
        match, refresher = _INTERVAL.fullmatch(value), _REFRESHER.search(value)
        if match is None:
            return None
        interval = int(match[1])
        uas = refresher is not None and refresher[1].lower() == "uas"
        return cls(interval, 1 - asker if uas else asker, now + interval)

    @property
    def deadline(self) -> float:
        """When a session that nobody has refreshed ends."""
        return self.until + GRACE

    def header(self, leg: int, now: float) -> str:
        """Session-Expires of a re-INVITE of our own to the peer of a leg: without it the peer would drop the timer.

        Who refreshes starts its clock anew by it. The other end, whose clock runs on, must hear of the next refresh
        in time: so the interval is what is left, at least the least that there is (RFC 4028 4).
        """
        if self.refresher == leg:
            return f"{max(LEAST, int(self.until - now))};refresher=uas"
        return f"{self.interval};refresher=uac"
