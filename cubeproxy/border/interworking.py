"""What one leg may offer or accept, what has to stand between two legs, and which keys that can be given, as tables.

Three decisions: ACCEPT says what an offer becomes on the leg it came in on (vendor: `srtp`, `srtp fallback`,
`srtp negotiate cisco`, `srtp pass-thru`), INTERWORKING what the pair of legs takes, CARRIES which suites may be chosen
or offered then. Which suites a dial peer has at all (`voice class srtp-crypto`, `srtp-auth`, the release's defaults) is
the plan's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cubeproxy.config.model import Personality, SrtpPolicy
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Need


class Kind(Enum):
    """What a leg's media is on the wire."""

    SRTP = "SRTP"
    RTP = "RTP"
    OPAQUE = "SRTP pass-thru"  # SRTP whose keys the far ends have agreed on; nothing of ours opens it


class Codecs(Enum):
    """Whether what one leg says is what the other hears."""

    SAME = "same codec"
    DIFFER = "another codec"


# policy, profile offered -> the kind it becomes, or the cause of the refusal (a key of FAILURES).
# RTP/AVP with a=crypto is RTP/AVP: RFC 4568 5.1.2 gives the attribute no meaning there.
ACCEPT: dict[tuple[SrtpPolicy, Kind], Kind | str] = {
    (SrtpPolicy.STRICT, Kind.SRTP): Kind.SRTP,
    (SrtpPolicy.STRICT, Kind.RTP): "srtp-required",
    (SrtpPolicy.FALLBACK, Kind.SRTP): Kind.SRTP,
    (SrtpPolicy.FALLBACK, Kind.RTP): Kind.RTP,
    (SrtpPolicy.OFF, Kind.SRTP): "srtp-refused",
    (SrtpPolicy.OFF, Kind.RTP): Kind.RTP,
    (SrtpPolicy.PASS_THRU, Kind.SRTP): Kind.OPAQUE,
    (SrtpPolicy.PASS_THRU, Kind.RTP): "pass-thru-needs-savp",
}

# What a leg offers when we make the first offer on it.
FIRST_OFFER = {
    SrtpPolicy.STRICT: Kind.SRTP,
    SrtpPolicy.FALLBACK: Kind.SRTP,
    SrtpPolicy.OFF: Kind.RTP,
    SrtpPolicy.PASS_THRU: Kind.OPAQUE,
}

_DSP = "SRTP-RTP on IOS needs a DSP"
_SOFTWARE = "IOS XE encrypts in software"
_OWN_KEYS = "each leg has its own keys"
_PASSED = "pass-thru: the keys are those of the far ends"
_CODECS = "another codec needs a DSP"

# one leg, the other leg, whether the codec is the same, personality -> what it needs, reason shown to the operator.
# What is missing cannot be: pass-thru takes both dial peers, and has no transcoding (vendor: SRTP-SRTP pass-through);
# nothing on IOS 15 transcodes audio between two SRTP legs (vendor: SRTP-RTP interworking, restrictions).
INTERWORKING: dict[tuple[Kind, Kind, Codecs, Personality], tuple[Need, str]] = {
    (Kind.SRTP, Kind.RTP, Codecs.SAME, Personality.IOS): (Need.TRANSCODER, _DSP),
    (Kind.RTP, Kind.SRTP, Codecs.SAME, Personality.IOS): (Need.TRANSCODER, _DSP),
    (Kind.SRTP, Kind.SRTP, Codecs.SAME, Personality.IOS): (Need.CRYPTO, _OWN_KEYS),
    (Kind.RTP, Kind.RTP, Codecs.SAME, Personality.IOS): (Need.RELAY, "clear on both sides"),
    (Kind.OPAQUE, Kind.OPAQUE, Codecs.SAME, Personality.IOS): (Need.RELAY, _PASSED),
    (Kind.SRTP, Kind.RTP, Codecs.DIFFER, Personality.IOS): (Need.TRANSCODER, _CODECS),
    (Kind.RTP, Kind.SRTP, Codecs.DIFFER, Personality.IOS): (Need.TRANSCODER, _CODECS),
    (Kind.RTP, Kind.RTP, Codecs.DIFFER, Personality.IOS): (Need.TRANSCODER, _CODECS),
    (Kind.SRTP, Kind.RTP, Codecs.SAME, Personality.IOSXE): (Need.CRYPTO, _SOFTWARE),
    (Kind.RTP, Kind.SRTP, Codecs.SAME, Personality.IOSXE): (Need.CRYPTO, _SOFTWARE),
    (Kind.SRTP, Kind.SRTP, Codecs.SAME, Personality.IOSXE): (Need.CRYPTO, _OWN_KEYS),
    (Kind.RTP, Kind.RTP, Codecs.SAME, Personality.IOSXE): (Need.RELAY, "clear on both sides"),
    (Kind.OPAQUE, Kind.OPAQUE, Codecs.SAME, Personality.IOSXE): (Need.RELAY, _PASSED),
    (Kind.SRTP, Kind.RTP, Codecs.DIFFER, Personality.IOSXE): (Need.TRANSCODER, _CODECS),
    (Kind.RTP, Kind.SRTP, Codecs.DIFFER, Personality.IOSXE): (Need.TRANSCODER, _CODECS),
    (Kind.SRTP, Kind.SRTP, Codecs.DIFFER, Personality.IOSXE): (Need.TRANSCODER, _CODECS),
    (Kind.RTP, Kind.RTP, Codecs.DIFFER, Personality.IOSXE): (Need.TRANSCODER, _CODECS),
}


@dataclass(slots=True, frozen=True)
class Keys:
    """Master keys that may be chosen: of these suites, and whether one may have a master key identifier (MKI)."""

    suites: tuple[Suite, ...] = tuple(Suite)
    mki: bool = True
    why: str = ""  # what sets the limit


ANY = Keys()

# need, whether a farm may be the transcoder -> the keys that whoever does the work can be told.
# SCCP's MediaEncryption has 16 octets for a key, and of an MKI a flag without the value.
CARRIES: dict[tuple[Need, bool], Keys] = {
    (Need.RELAY, False): ANY,
    (Need.RELAY, True): ANY,
    (Need.CRYPTO, False): ANY,
    (Need.CRYPTO, True): ANY,
    (Need.TRANSCODER, False): ANY,
    (Need.TRANSCODER, True): Keys(
        (Suite.AEAD_AES_128_GCM, Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32),
        mki=False,
        why="SCCP carries no AES-256 key and no MKI to a DSP farm",
    ),
}


def accept(policy: SrtpPolicy, negotiate_cisco: bool, offered: Kind) -> Kind | str:
    """What an offer becomes. `srtp negotiate cisco` lets a peer without `srtp` answer RTP to an SRTP offer."""
    if policy is SrtpPolicy.OFF and negotiate_cisco and offered is Kind.SRTP:
        return Kind.RTP
    return ACCEPT[policy, offered]


def carried(suites: Sequence[Suite], keys: Keys) -> tuple[Suite, ...]:
    """Those of a dial peer's suites that `keys` admits, in its order."""
    return tuple(suite for suite in suites if suite in keys.suites)
