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


# In the order in which they are shown. The ids are stable: reports of different days can be compared.
TITLES: Mapping[str, str] = {
    "proxy.serves": "The proxy runs from configuration text",
    "boot.ctl": "A phone out of the box fetches the trust list and judges it",
    "boot.config": "Its configuration is turned by the proxy, signed again, and verified by the phone",
    "boot.lsc": "It enrols its certificate (LSC) with the cluster's CAPF through the relay on 3804",
    "boot.registered": "It registers with that LSC, at the server that its trust list names",
    "phones.registered": "Both phones register over mutual TLS, digest end to end",
    "access.strict": "Plain RTP is refused on the secure access side",
    "call.up": "Phone 1 calls phone 2 through the cluster, keys agreed by SDES",
    "audio.forward": "Phone 2 hears phone 1",
    "audio.back": "Phone 1 hears phone 2",
    "legs.srtp": "SRTP is on for access legs, off for core legs",
    "core.audible": "The eavesdropper understands the core side",
    "access.unintelligible": "The same eavesdropper understands nothing on the access side",
    "capture.dissected": "A third party's dissector finds our RTP and nothing malformed",
    "end.clean": "Everything ends cleanly",
}

# A run in which one of these is unavailable has shown nothing.
ESSENTIAL = frozenset(TITLES) - {"capture.dissected"}


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
