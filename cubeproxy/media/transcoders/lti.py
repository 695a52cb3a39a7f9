"""LTI, the local transcoding interface (`associate application CUBE`): the media worker of this box does the work."""

from __future__ import annotations

from collections.abc import Sequence

from cubeproxy.config.model import DspfarmProfile
from cubeproxy.media.transcoders.words import Capability, Capacity, HopUpdate, Legs, Output, Refusal
from cubeproxy.protocols.values import Address


class LtiTranscoder:
    """`profiles` that are associated with CUBE, not shut and secure; each adds its `maximum sessions`."""

    name = "LTI"
    hops = 1
    inside = ""
    capabilities = frozenset(
        {
            Capability.GCM_128,
            Capability.GCM_256,
            Capability.SECURE_BOTH,
            Capability.TWO_SUITES,
            Capability.DTMF,
            Capability.TONES,
            Capability.CODECS,
            Capability.PACKETISATION,
            Capability.REPORTS,
        }
    )

    def __init__(self, profiles: Sequence[DspfarmProfile]) -> None:
        self.profiles = profiles
        self.limit = sum(profile.maximum_sessions for profile in profiles)
        self.total = 0
        self.sessions: set[int] = set()

    @property
    def codes(self) -> bool:
        """Whether calls with two codecs may come."""
        return any(len(profile.codecs) > 1 for profile in self.profiles)

    def refusal(self) -> Refusal | None:
        if not self.limit:
            return Refusal("no-transcoder", "the profile has no sessions: `maximum sessions` is 0")
        if len(self.sessions) >= self.limit:
            return Refusal("pool-full", f"all {self.limit} sessions of the local transcoder are in use")
        return None

    def capacity(self) -> Capacity:
        return Capacity(self.limit, len(self.sessions))

    def statistics(self) -> dict[str, int]:
        return {"sessions": self.total}

    def reserve(self, session: int, now: float) -> None:
        self.sessions.add(session)
        self.total += 1

    def update(self, session: int, legs: Legs, inside: Sequence[Address], now: float) -> list[Output]:
        return [HopUpdate(session, 0, legs)]

    def release(self, session: int, now: float) -> list[Output]:
        self.sessions.discard(session)
        return []

    @property
    def deadline(self) -> float | None:
        return None

    def timeout(self, now: float) -> list[Output]:
        return []
