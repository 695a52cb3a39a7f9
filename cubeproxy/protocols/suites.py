"""SRTP crypto suites and the master keys that belong to them (RFC 4568 6.2, RFC 7714 14.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Suite(Enum):
    """The four suites in the vendor's default order of preference (IOS XE 16.5.1b and later)."""

    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"

    @property
    def sizes(self) -> SuiteSizes:
        return SIZES[self]


@dataclass(slots=True, frozen=True)
class SuiteSizes:
    """All in octets. `tag` is what SRTP adds to a packet, `rtcp_tag` what SRTCP adds besides its index."""

    key: int
    salt: int
    tag: int
    rtcp_tag: int

    @property
    def master(self) -> int:
        """Octets of key and salt together, as the inline parameter carries them."""
        return self.key + self.salt


SIZES = {
    Suite.AEAD_AES_256_GCM: SuiteSizes(key=32, salt=12, tag=16, rtcp_tag=16),
    Suite.AEAD_AES_128_GCM: SuiteSizes(key=16, salt=12, tag=16, rtcp_tag=16),
    Suite.AES_CM_128_HMAC_SHA1_80: SuiteSizes(key=16, salt=14, tag=10, rtcp_tag=10),
    Suite.AES_CM_128_HMAC_SHA1_32: SuiteSizes(key=16, salt=14, tag=4, rtcp_tag=10),
}


@dataclass(slots=True)
class MasterKey:
    """A suite with its master key and salt (`master`: key || salt). Never shows its octets."""

    suite: Suite
    master: bytes
    mki: bytes = b""  # master key identifier, empty when the SDES line had none
    lifetime: int | None = None  # packets, RFC 4568 6.1; None is the suite's default

    def __post_init__(self) -> None:
        if len(self.master) != self.suite.sizes.master:
            raise ValueError(f"{self.suite.value} takes {self.suite.sizes.master} octets of key and salt")

    def __repr__(self) -> str:
        return f"MasterKey({self.suite.value}, <redacted>)"
