"""Why a call was refused, as the peer is told: status, Warning text and Q.850 cause.

One row for every cause. The texts are the vendor's (SIP Warning header, IOS 15.3(2)T and later);
the operator's event carries the cause's name and the fix.
"""

from __future__ import annotations

from dataclasses import dataclass

from cubeproxy.protocols.sip.message import Response
from cubeproxy.protocols.values import Side


@dataclass(slots=True, frozen=True)
class Failure:
    """`q850` 0: no Reason header. `retry_after` in seconds, 0: none."""

    status: int
    warning: str = ""
    q850: int = 0
    retry_after: int = 0
    fix: str = ""


FAILURES = {
    "no-transcoder": Failure(
        500, "Transcoder Not Configured", 16, fix="configure a dspfarm profile with `security`, or an IOS XE `version`"
    ),
    "pool-full": Failure(
        503,
        "Transcoder reservation failure during SRTP-RTP I/W",
        47,
        10,
        fix="raise `maximum sessions` or add a DSP farm",
    ),
    "no-ports": Failure(503, "Resource unavailable", 47, 10, fix="widen `rtp-port range`"),
    "engine-full": Failure(503, "Resource unavailable", 47, 10, fix="raise the limit of open files, or --workers"),
    "no-worker": Failure(503, "Resource unavailable", 47, 5, fix="see the log of the media worker"),
    "media-lost": Failure(500, "Media engine lost", 41),
    "no-new-keys": Failure(500, "Media engine lost", 41, fix="a peer does not take a re-INVITE with a new SRTP key"),
    "session-expired": Failure(408, "", 102),
    "gone": Failure(480, "", 41),
    "draining": Failure(503, "SIP Service is Shutdown", 41, 30, fix="the proxy is being stopped"),
    "srtp-required": Failure(
        488,
        "Cannot fallback to RTP. SRTP configured on dial peer",
        fix="offer RTP/SAVP with a=crypto, or configure `srtp fallback` on the dial peer",
    ),
    "srtp-refused": Failure(
        488, "SRTP is not configured on dial peer", fix="configure `srtp` or `srtp fallback` on the dial peer"
    ),
    "pass-thru-needs-savp": Failure(
        415, "SRTP pass-thru needs RTP/SAVP", fix="offer RTP/SAVP with a=crypto, or configure `srtp` on both dial peers"
    ),
    "pass-thru-one-side": Failure(
        488, "SRTP pass-thru is not configured on both dial peers", fix="configure `srtp pass-thru` on both dial peers"
    ),
    "no-suite": Failure(488, "No common SRTP crypto suite", fix="see `voice class srtp-crypto` on the dial peer"),
    "no-codec": Failure(488, "No common codec", fix="see `codec` and `voice-class codec` on both dial peers"),
    "no-audio": Failure(488, "No usable audio stream in session description"),
    "media-address": Failure(
        488,
        "Media address not allowed",
        fix="the peer names a group of hosts, or a signalling port, for its audio: is this an attack?",
    ),
    "bad-sdp": Failure(400, "Error parsing session description"),
    "bad-answer": Failure(502, "Error parsing session description", 41),
    "sdp-type": Failure(415, "Session description expected"),
    "no-peer": Failure(404, "No matching outgoing dial-peer", 1, fix="see `destination uri` and `session target`"),
    "no-number": Failure(484, "", 28),
    "uri-scheme": Failure(416, "Unsupported URI scheme"),
    "too-many-hops": Failure(483),
    "untrusted": Failure(403, "", 21, fix="add the source to `ip address trusted list`, or to a session target"),
    "unknown-number": Failure(404, "No matching outgoing dial-peer", 1, fix="no phone is registered under this number"),
    "phone-away": Failure(480, "Phone is not connected", 20),
    "not-registered": Failure(403, "Not registered", 21, fix="the phone has to REGISTER on this connection first"),
    "all-nodes-down": Failure(
        503, "No core node answers", 38, 10, fix="see the keepalive state of the core dial peers"
    ),
    "max-conn": Failure(503, "Maximum Number of Connections reached", 47, 10, fix="raise `max-conn` on the dial peer"),
    "no-answer": Failure(408, "", 102),
    "challenged": Failure(403, "Phone asked for credentials", 21),
    "too-many-numbers": Failure(403, "Too many numbers on one device", 21),
    "identity": Failure(403, "Device name does not match its certificate", 21),
    "no-registrar": Failure(
        403, "Registrar is not enabled", fix="configure `registrar server` under voice service voip"
    ),
}


# A request that got no answer: the side that was asked, how it ended -> the row for whoever asked.
SILENCE = {
    (Side.ACCESS, "timeout"): "no-answer",
    (Side.ACCESS, "transport"): "phone-away",
    (Side.CORE, "timeout"): "all-nodes-down",
    (Side.CORE, "transport"): "all-nodes-down",
}


def apply(response: Response, failure: Failure, host: str) -> Response:
    """Put what `failure` says into a response. `host` is our address, the agent of the Warning."""
    if failure.warning:
        response.headers.add("Warning", f'399 {host} "{failure.warning}"')
    if failure.q850:
        response.headers.add("Reason", f"Q.850;cause={failure.q850}")
    if failure.retry_after:
        response.headers.add("Retry-After", str(failure.retry_after))
    return response
