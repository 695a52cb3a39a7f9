"""What the demo claims, and what a claim needs to count as shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    VERIFIED = "verified"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"  # a tool is missing that only this claim needs


@dataclass(slots=True, frozen=True)
class Claim:
    """One claim with its outcome. `missing` names the tool when the status is unavailable."""

    id: str
    status: Status
    evidence: str
    missing: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.id]

    def as_json(self) -> dict[str, str]:
        record = {"id": self.id, "title": self.title, "status": self.status.value, "evidence": self.evidence}
        return record | ({"missing": self.missing} if self.missing else {})


# By part, in the order in which they are shown. The ids are stable: reports of different days can be compared.
PARTS: Mapping[str, Mapping[str, str]] = {
    "A phone comes out of its box": {
        "proxy.serves": "The proxy runs from configuration text",
        "boot.ctl": "A phone out of the box fetches the trust list and judges it",
        "boot.config": "Its configuration is turned by the proxy, signed again, and verified by the phone",
        "boot.lsc": "It enrols its certificate (LSC) with the cluster's CAPF through the relay on 3804",
        "boot.registered": "It registers with that LSC, at the server that its trust list names",
    },
    "An encrypted call, IOS": {
        "phones.registered": "Both phones register over mutual TLS, digest end to end",
        "access.strict": "Plain RTP is refused on the secure access side",
        "call.up": "Phone 1 calls phone 2 through the cluster, keys agreed by SDES",
        "audio.forward": "Phone 2 hears phone 1",
        "audio.back": "Phone 1 hears phone 2",
        "legs.srtp": "SRTP is on for access legs, off for core legs",
    },
    "What others hear": {
        "core.audible": "The eavesdropper understands the core side",
        "access.unintelligible": "The same eavesdropper understands nothing on the access side",
        "capture.dissected": "A third party's dissector finds our RTP and SCCP, and nothing malformed",
    },
    "The DSP farm, a process of its own": {
        "farm.registered": "The farm registers with the proxy over SCCP",
        "farm.keys": "SCCP hands it the keys of the calls' SDES lines, and none for the core",
        "farm.stopped": "Once the farm is stopped the next call is refused",
        "end.clean": "Everything ends cleanly",
    },
    "The same call on IOS XE": {
        "xe.call": "It needs no farm: encryption is in software",
        "xe.audio": "Both phones hear each other",
        "xe.legs": "SRTP is on for access legs, off for core legs, and none leads to a farm",
        "xe.clean": "It ends cleanly too",
    },
}
TITLES: Mapping[str, str] = {claim: title for part in PARTS.values() for claim, title in part.items()}

# A run in which one of these is unavailable has shown nothing. A configuration may have no farm.
FARM = frozenset(claim for claim in TITLES if claim.startswith("farm."))
ESSENTIAL = frozenset(TITLES) - {"capture.dissected"} - FARM


def verdict(claims: Iterable[Claim]) -> int:
    """The exit code: 0 when every claim is there, none has failed and no essential one is unavailable."""
    by_id = {claim.id: claim for claim in claims}
    if by_id.keys() != TITLES.keys():
        return 1
    bad = any(
        claim.status is Status.FAILED or (claim.status is Status.UNAVAILABLE and claim.id in ESSENTIAL)
        for claim in by_id.values()
    )
    return 1 if bad else 0
