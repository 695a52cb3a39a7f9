"""What can be wrong with a trust list or a signed file, each rule by a name that operators and tests see."""

from __future__ import annotations

from enum import Enum

from cubeproxy.protocols.errors import RemoteProtocolError


class Rule(Enum):
    """The rule that a refused file broke."""

    TRUNCATED = "truncated"  # a length points behind the end
    MALFORMED = "malformed"  # an element is missing, double, out of place or of the wrong size
    VERSION = "version"  # a header version that nobody here reads
    TOO_LARGE = "too-large"
    SIGNER_UNKNOWN = "signer-unknown"  # no record has the signer's issuer and serial number
    ROLE = "role"  # the signer is known, but may not sign this kind of file
    DIGEST = "digest"  # the signature (or the digest of the plain text) does not fit the bytes
    TWO_SAST = "two-sast"  # a list has one or two SAST records
    RECORD = "record"  # a record and its certificate contradict each other
    FILE_NAME = "file-name"  # signed, but under another name than asked for
    OLDER = "older"  # older than the list that is held
    KEY = "key"  # the session key is not for this device's key


class TrustListError(RemoteProtocolError):
    """A file that is refused. `rule` says why; `signer` is the signer's subject as far as it was read."""

    def __init__(self, rule: Rule, text: str, *, signer: str = "") -> None:
        super().__init__(f"{rule.value}: {text}")
        self.rule = rule
        self.signer = signer
