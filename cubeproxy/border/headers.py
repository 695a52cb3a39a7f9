"""What a header may do at the border: pass, be rewritten, or stay outside.

Outgoing messages are rebuilt, never edited: a header that no rule names does not pass. Three
rules in order: headers that make a method work pass always, those of the dial peer's list pass,
and with `passthru-hdr-unsupp` unknown ones too; of the passing ones, those that carry addresses
are rewritten so that neither face sees the other's (address hiding).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from cubeproxy.border.plan import Peer
from cubeproxy.protocols.sip.headers import Headers, plain
from cubeproxy.protocols.sip.message import Request

# Rebuilt for every leg (RFC 3261 8.1.1, 16.6) or stripped by the vendor's predefined profile (Cisco-Guid).
NEVER = frozenset(
    name.lower()
    for name in (
        "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Route", "Record-Route", "Content-Length",
        "Path", "Service-Route", "Cisco-Guid", "Proxy-Require",
    )
)  # fmt: skip

# A method, an answer or an identity does not work without these (RFC 3261, 3262, 3311, 3323, 3325, 3326, 3515, 3891,
# 3892, 4028, 4488, 5626, 6086, 6665, 7044, 7989).
FUNCTIONAL = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Allow-Events", "Call-Info",
    "Content-Disposition", "Content-Encoding", "Content-ID", "Content-Language", "Content-Type", "Date", "Diversion",
    "Error-Info", "Event", "Expires", "History-Info", "Info-Package", "Join", "MIME-Version", "Min-Expires", "Min-SE",
    "Organization", "P-Asserted-Identity", "P-Preferred-Identity", "Priority", "Privacy", "RAck", "RSeq", "Reason",
    "Recv-Info", "Refer-Sub", "Refer-To", "Referred-By", "Remote-Party-ID", "Replaces", "Require", "Retry-After",
    "Server", "Session-Expires", "Session-ID", "SIP-ETag", "SIP-If-Match", "Subject", "Subscription-State",
    "Supported", "Target-Dialog", "Timestamp", "Unsupported", "User-Agent", "Warning",
)  # fmt: skip

# The phone's own proof towards the core, end to end; never the other way (SIP digest leak).
CREDENTIALS = ("Authorization", "Proxy-Authorization")
CHALLENGES = ("WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info")

EXPIRES = frozenset({"expires"})  # of a registration: ours to say

# Extensions that pass through us; any other that is required gets 420 (RFC 3261 8.2.2.3).
EXTENSIONS = frozenset(
    {
        "100rel", "timer", "replaces", "norefersub", "from-change", "histinfo", "tdialog", "join", "path", "outbound",
        "gruu", "early-session", "eventlist", "sdp-anat", "resource-priority", "extended-refer", "multiple-refer",
        "precondition", "answermode", "privacy", "pref", "nosub", "recipient-list-invite",
    }
)  # fmt: skip

_ADDRESSED = frozenset(
    name.lower()
    for name in (
        "Remote-Party-ID", "P-Asserted-Identity", "P-Preferred-Identity", "Diversion", "History-Info", "Refer-To",
        "Referred-By",
    )
)  # fmt: skip

# Who somebody is, by our word to this leg: the host in them is ours or the peer's, as in From and To.
_IDENTITY = frozenset({"remote-party-id", "p-asserted-identity", "p-preferred-identity"})

_HOST = re.compile(r"(?<=@)(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(?=[;>?\s,]|$)", re.ASCII)

_KNOWN = frozenset(name.lower() for name in (*FUNCTIONAL, *CREDENTIALS, *CHALLENGES)) | NEVER


@lru_cache(maxsize=256)
def _passing(pass_list: tuple[str, ...], extra: tuple[str, ...], without: frozenset[str]) -> frozenset[str]:
    """The same few lists over and over: one for each dial peer and direction."""
    return frozenset(name.lower() for name in (*FUNCTIONAL, *pass_list, *extra)) - NEVER - without


class PassList:
    """The headers that pass from one dial peer to another; `extra` names more, `without` keys that do not."""

    def __init__(self, peer: Peer, extra: tuple[str, ...] = (), without: frozenset[str] = frozenset()) -> None:
        self._keys = _passing(peer.pass_list, extra, without)
        self._unknown = peer.pass_unknown

    def carry(self, source: Headers, target: Headers, faces: Faces | None = None) -> None:
        """Append to `target` what passes of `source`, with `faces` its addresses as `target`'s peer may see them."""
        keys, unknown = self._keys, self._unknown
        for key, row in source.pairs():
            if key in keys or (unknown and key not in _KNOWN):
                written = plain(key, row)
                if faces is not None and key in _ADDRESSED:
                    written = faces.hide(written, key in _IDENTITY)
                target.carry(key, written)


class Faces:
    """What the addresses of one face are called on the other (vendor: `address-hiding`).

    `theirs` maps those that have a counterpart; `hidden` are the others of that face, which become `ours`.
    """

    __slots__ = ("_hidden", "_ours", "_theirs")

    def __init__(self, theirs: Mapping[str, str], hidden: frozenset[str], ours: str) -> None:
        self._theirs = theirs
        self._hidden = hidden
        self._ours = ours

    def hide(self, value: str, whole: bool = False) -> str:
        """Replace hosts in URIs with a user; a port goes with the host that it belonged to.

        `whole` replaces those that nobody knows too.
        """

        def swap(match: re.Match[str]) -> str:
            host = match[1]
            return self._theirs.get(host) or (self._ours if whole or host in self._hidden else match[0])

        return _HOST.sub(swap, value)


def unsupported(request: Request) -> list[str]:
    """Option tags in Require that we cannot pass; vendor tags (`X-cisco-...`) always pass."""
    tags = [tag.strip().lower() for tag in request.headers.all("Require")]
    return [tag for tag in tags if tag and tag not in EXTENSIONS and not tag.startswith("x-cisco-")]
