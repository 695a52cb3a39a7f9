"""Session timers as the element between sees them (RFC 4028).

The two ends negotiate and refresh through us. What is left for us is the case that neither end
refreshes, because both are gone: then the call is ended here.
"""

from __future__ import annotations

import re

from cubeproxy.protocols.sip.message import Response

GRACE = 5.0  # s after the session interval, so that an end that is still there acts first (RFC 4028 10)

_INTERVAL = re.compile(r"\s*([0-9]{1,9})\s*(?:;.*)?", re.ASCII | re.DOTALL)


def refresh_deadline(response: Response, now: float) -> float | None:
    """When a session that is not refreshed ends, by the 2xx that set its interval; None without a timer."""
    match = _INTERVAL.fullmatch(response.headers.get("Session-Expires") or "")
    return now + int(match[1]) + GRACE if match else None
