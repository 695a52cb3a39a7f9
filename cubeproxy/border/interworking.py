"""What one leg may offer or accept, and what has to stand between two legs, as tables.

Two decisions: `accept` says what an offer may become on the leg it came in on (vendor: `srtp`, `srtp fallback`,
`srtp negotiate cisco`, `srtp pass-thru`), INTERWORKING what the pair of legs takes.
"""

from __future__ import annotations

from enum import Enum

from cubeproxy.config.model import Personality, SrtpPolicy
from cubeproxy.protocols.values import Need


class Kind(Enum):
    """What a leg's media is on the wire."""

    SRTP = "SRTP"
    RTP = "RTP"


# policy, profile offered -> the kind it becomes, or the cause of the refusal (a key of FAILURES).
# RTP/AVP with a=crypto is RTP/AVP: RFC 4568 5.1.2 gives the attribute no meaning there.
ACCEPT: dict[tuple[SrtpPolicy, Kind], Kind | str] = {
    (SrtpPolicy.STRICT, Kind.SRTP): Kind.SRTP,
    (SrtpPolicy.STRICT, Kind.RTP): "srtp-required",
    (SrtpPolicy.FALLBACK, Kind.SRTP): Kind.SRTP,
    (SrtpPolicy.FALLBACK, Kind.RTP): Kind.RTP,
    (SrtpPolicy.OFF, Kind.SRTP): "srtp-refused",
    (SrtpPolicy.OFF, Kind.RTP): Kind.RTP,
    (SrtpPolicy.PASS_THRU, Kind.SRTP): "srtp-refused",
    (SrtpPolicy.PASS_THRU, Kind.RTP): "pass-thru-needs-savp",
}

# What a leg offers when we make the first offer on it.
FIRST_OFFER = {
    SrtpPolicy.STRICT: Kind.SRTP,
    SrtpPolicy.FALLBACK: Kind.SRTP,
    SrtpPolicy.OFF: Kind.RTP,
    SrtpPolicy.PASS_THRU: Kind.SRTP,
}

# one leg, the other leg, personality -> what it needs, reason shown to the operator
INTERWORKING: dict[tuple[Kind, Kind, Personality], tuple[Need, str]] = {
    (Kind.SRTP, Kind.RTP, Personality.IOS): (Need.TRANSCODER, "SRTP-RTP on IOS needs a DSP"),
    (Kind.RTP, Kind.SRTP, Personality.IOS): (Need.TRANSCODER, "SRTP-RTP on IOS needs a DSP"),
    (Kind.SRTP, Kind.RTP, Personality.IOSXE): (Need.CRYPTO, "IOS XE encrypts in software"),
    (Kind.RTP, Kind.SRTP, Personality.IOSXE): (Need.CRYPTO, "IOS XE encrypts in software"),
    (Kind.SRTP, Kind.SRTP, Personality.IOS): (Need.CRYPTO, "each leg has its own keys"),
    (Kind.SRTP, Kind.SRTP, Personality.IOSXE): (Need.CRYPTO, "each leg has its own keys"),
    (Kind.RTP, Kind.RTP, Personality.IOS): (Need.RELAY, "clear on both sides"),
    (Kind.RTP, Kind.RTP, Personality.IOSXE): (Need.RELAY, "clear on both sides"),
}


def accept(policy: SrtpPolicy, negotiate_cisco: bool, offered: Kind) -> Kind | str:
    """What an offer becomes. `srtp negotiate cisco` lets a peer without `srtp` answer RTP to an SRTP offer."""
    if policy is SrtpPolicy.OFF and negotiate_cisco and offered is Kind.SRTP:
        return Kind.RTP
    return ACCEPT[policy, offered]
