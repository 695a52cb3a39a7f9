"""Header names: the long form of each, the compact forms, and which headers may hold a list in one row.

A header is known inside by its key: the long name in lower case (RFC 3261 7.3.1 and 7.3.3: names compare without
case, a compact form equals its long one). Nothing else is ever looked up by.
"""

from __future__ import annotations

# Where the grammar is a comma list, so that one row may hold several values (RFC 3261 7.3.1 and the cited RFC).
_LISTS = """
Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events Call-Info
Contact Content-Encoding Content-Language Diversion Error-Info Feature-Caps Geolocation History-Info In-Reply-To Path
P-Asserted-Identity P-Associated-URI P-Preferred-Identity Permission-Missing Proxy-Require Reason Record-Route
Recv-Info Reject-Contact Remote-Party-ID Request-Disposition Require Resource-Priority Route Security-Client
Security-Server Security-Verify Service-Route Supported Trigger-Consent Unsupported Via Warning
""".split()  # noqa: SIM905

_SINGLES = """
Answer-Mode Authentication-Info Authorization Call-ID Content-Disposition Content-ID Content-Length Content-Type CSeq
Date Event Expires Flow-Timer From Identity Identity-Info Info-Package Join Max-Breadth Max-Forwards MIME-Version
Min-Expires Min-SE Organization P-Access-Network-Info P-Called-Party-ID P-Charging-Vector Priority
Priv-Answer-Mode Privacy Proxy-Authenticate Proxy-Authorization RAck Refer-Sub Refer-To Referred-By Replaces Reply-To
Retry-After RSeq Server Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State Suppress-If-Match
Target-Dialog Timestamp To User-Agent User-to-User WWW-Authenticate
""".split()  # noqa: SIM905

COMPACT = {
    "a": "accept-contact",  # RFC 3841
    "b": "referred-by",  # RFC 3892
    "c": "content-type",
    "d": "request-disposition",  # RFC 3841
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",  # RFC 3841
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",  # RFC 4474
    "o": "event",  # RFC 6665
    "r": "refer-to",  # RFC 3515
    "s": "subject",
    "t": "to",
    "u": "allow-events",  # RFC 6665
    "v": "via",
    "x": "session-expires",  # RFC 4028
    "y": "identity",  # RFC 8224
}

LONG = {name.lower(): name for name in (*_LISTS, *_SINGLES)}
LISTS = frozenset(name.lower() for name in _LISTS)

# Every spelling that is worth a single look-up; others go through `key_of`.
KEYS: dict[str, str] = {
    **{spelling: key for key, name in LONG.items() for spelling in (key, name, name.title(), name.upper())},
    **{spelling: key for letter, key in COMPACT.items() for spelling in (letter, letter.upper())},
}


def key_of(name: str) -> str:
    """The key of a header name in any spelling."""
    return KEYS.get(name) or _key_of_other(name)


def _key_of_other(name: str) -> str:
    key = name.lower()
    return KEYS.get(key, key)
