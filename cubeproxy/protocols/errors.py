"""Errors that say who is wrong.

A machine never raises for an I/O failure or for lack of room: those are values (`MediaRefused`, a row of the border's
failure table). It raises

* `RemoteProtocolError` when the peer broke a protocol: the status to answer travels with it;
* `LocalProtocolError` when our own code asked a machine for what its table does not have;
* `TrustError` when a certificate is refused: it names the certificate, what was missing and the fix;
* `ConfigError` for a line of configuration that cannot be obeyed.
"""

from __future__ import annotations


class CubeError(Exception):
    """Base of every error that this project raises on purpose."""


class RemoteProtocolError(CubeError):
    """The peer sent what its protocol forbids.

    `status` is the SIP status to answer (RFC 3261 21); `fatal` says that a stream cannot be read
    any further, so that the connection must go after the answer.
    """

    def __init__(self, text: str, status: int = 400, reason: str | None = None, *, fatal: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.fatal = fatal


class LocalProtocolError(CubeError):
    """We asked a machine for a transition that does not exist. Always a bug of ours."""


class TrustError(CubeError):
    """A certificate was refused: whose, why, which trustpoint would be needed, and what to do.

    `alert` is what its owner is told by TLS: "unknown-ca", "expired", "revoked", "purpose" or "rejected".
    """

    def __init__(
        self,
        text: str,
        *,
        subject: str = "",
        issuer: str = "",
        trustpoint: str = "",
        fix: str = "",
        alert: str = "rejected",
    ) -> None:
        super().__init__(text)
        self.subject = subject
        self.issuer = issuer
        self.trustpoint = trustpoint
        self.fix = fix
        self.alert = alert


class ConfigError(CubeError):
    """A configuration that cannot be obeyed. `line` counts from 1, 0 where no single line is to blame."""

    def __init__(self, text: str, line: int = 0, fix: str = "") -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.line = line
        self.fix = fix
