"""NOTIFY with `Event: service-control`: how a cluster tells a phone to reset. Both ends' text.

The body names the Call-ID of the phone's REGISTER, and a phone obeys no other; the From has no user part.
"""

from __future__ import annotations

import re

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import Request

EVENT = "service-control"
ACTIONS = ("reset", "restart", "check-version")
_ACTION = re.compile(r"action=([a-z-]{1,32})", re.ASCII)
_CALL_ID = re.compile(r"RegisterCallId=\{([^}\r\n]{0,256})\}", re.ASCII)


def body_of(action: str, register_call_id: str, stamp: str = "") -> bytes:
    lines = (
        f"action={action}",
        f"RegisterCallId={{{register_call_id}}}",
        f"ConfigVersionStamp={{{stamp}}}",
        "DialplanVersionStamp={}",
        "SoftkeyVersionStamp={}",
    )
    return ("\n".join(lines) + "\n").encode()


def is_service_control(request: Request) -> bool:
    return request.method == "NOTIFY" and (request.headers.get("Event") or "").partition(";")[0].strip() == EVENT


def read_action(request: Request, register_call_id: str) -> str:
    """What the phone is to do. RemoteProtocolError (400) for one that is not for its registration."""
    text = request.body.decode("utf-8", "replace")
    action, call_id = _ACTION.search(text), _CALL_ID.search(text)
    if request.from_.uri.user:
        raise RemoteProtocolError("a service-control from a user", 400)
    if action is None or call_id is None or call_id[1] != register_call_id:
        raise RemoteProtocolError("a service-control for another registration", 400)
    return action[1]
