"""MediaEncryption: the SRTP master key of one direction, as OpenReceiveChannel and StartMediaTransmission carry it.

48 octets, in the clear: such a message goes over TLS, or never leaves the box. Key and salt have their own fields of 16
octets, so AEAD_AES_256_GCM does not fit; of an MKI there is only a flag, no value; the rollover counter is not
carried at all, a stream begins at 0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Annotated

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sccp.layout import take
from cubeproxy.protocols.suites import MasterKey, Suite

LAYOUT = struct.Struct("<IHH16s16sII")
NONE = 0
ALGORITHMS = {
    Suite.AES_CM_128_HMAC_SHA1_32: 1,
    Suite.AES_CM_128_HMAC_SHA1_80: 2,
    Suite.AEAD_AES_128_GCM: 5,
}
SUITES = {number: suite for suite, number in ALGORITHMS.items()}
LONGEST = 16  # octets of a key, and of a salt


@dataclass(slots=True, frozen=True)
class MediaEncryption:
    """`algorithm` 0 is none; 3 and 4 (F8) and 6 (AES-256) exist as numbers only. Never shows its octets."""

    algorithm: int = NONE
    key: bytes = field(default=b"", repr=False)
    salt: bytes = field(default=b"", repr=False)
    mki_present: int = 0
    derivation_rate: int = 0

    def __repr__(self) -> str:
        if self.algorithm == NONE:
            return "MediaEncryption(none)"
        suite = SUITES.get(self.algorithm)
        return f"MediaEncryption({suite.value if suite else self.algorithm}, <redacted>)"

    @property
    def suite_name(self) -> str:
        """For people; "N/A" without encryption."""
        suite = SUITES.get(self.algorithm)
        return suite.value if suite else "N/A"

    @classmethod
    def of(cls, key: MasterKey | None) -> MediaEncryption:
        """LocalProtocolError for a key that this structure cannot carry: AES-256, or one with an MKI."""
        if key is None:
            return cls()
        if key.suite not in ALGORITHMS:
            raise LocalProtocolError(f"SCCP cannot carry a key of {key.suite.value}")
        if key.mki:
            raise LocalProtocolError("SCCP cannot carry a master key identifier")
        size = key.suite.sizes.key
        return cls(ALGORITHMS[key.suite], key.master[:size], key.master[size:])

    def master_key(self) -> MasterKey | None:
        """The key, None for plain RTP; RemoteProtocolError when it is none that we can use."""
        if self.algorithm == NONE:
            return None
        suite = SUITES.get(self.algorithm)
        if suite is None:
            raise RemoteProtocolError(f"SCCP media encryption algorithm {self.algorithm} is not supported")
        if (len(self.key), len(self.salt)) != (suite.sizes.key, suite.sizes.salt):
            raise RemoteProtocolError(f"{suite.value} with {len(self.key)} octets of key and {len(self.salt)} of salt")
        if self.mki_present or self.derivation_rate:
            raise RemoteProtocolError("SCCP media encryption with an MKI or a key derivation rate is not supported")
        return MasterKey(suite, self.key + self.salt)


class EncryptionField:
    """The kind of such a field (see `layout`)."""

    def write(self, value: MediaEncryption, version: int) -> bytes:
        key, salt = value.key, value.salt
        if max(len(key), len(salt)) > LONGEST:
            raise ValueError("key or salt too long")
        return LAYOUT.pack(value.algorithm, len(key), len(salt), key, salt, value.mki_present, value.derivation_rate)

    def read(self, data: bytes, position: int, version: int) -> tuple[MediaEncryption, int]:
        taken, end = take(data, position, LAYOUT.size)
        algorithm, key_octets, salt_octets, key, salt, mki, rate = LAYOUT.unpack(taken)
        if max(key_octets, salt_octets) > LONGEST:
            raise ValueError("key or salt longer than its field")
        return MediaEncryption(algorithm, key[:key_octets], salt[:salt_octets], mki, rate), end


Encryption = Annotated[MediaEncryption, EncryptionField()]
