"""The verify callback of OpenSSL, with the reason of a refusal going back to it.

pyOpenSSL's own wrapper tells OpenSSL only yes or no, and a refusal without a reason goes to the peer as the alert
"internal error": its owner then looks for a fault of ours. Here the callback answers with an X509_V_ERR_* number
(0 accepts), from which OpenSSL makes the alert that fits (RFC 8446 6.2). This is the one file that uses pyOpenSSL's
inner parts; a release that changes them fails `tests/transport/test_openssl.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL, crypto

#  X509_V_ERR_* (openssl/x509_vfy.h.in), and the alert that OpenSSL makes of each (ssl/statem/statem_lib.c, x509table)
ACCEPTED = 0
UNKNOWN_CA = 20  # no local issuer: unknown_ca
EXPIRED = 10  # certificate_expired
REVOKED = 23  # certificate_revoked
WRONG_PURPOSE = 26  # unsupported_certificate
REJECTED = 28  # bad_certificate

ALERTS = {
    "unknown-ca": UNKNOWN_CA,
    "expired": EXPIRED,
    "revoked": REVOKED,
    "purpose": WRONG_PURPOSE,
    "rejected": REJECTED,
}  # by the `alert` of a TrustError

Verify = Callable[[SSL.Connection, crypto.X509, int, int, bool], int]  # certificate, error, depth, good -> X509_V_ERR_*


class Verifier:
    """Keep it as long as the context lives: OpenSSL holds a bare pointer to `_pointer`."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._pointer = _ffi().callback("int (*)(int, X509_STORE_CTX *)", self._called)

    def install(self, context: SSL.Context, mode: int) -> None:
        """Take the place of `Context.set_verify`."""
        _lib().SSL_CTX_set_verify(context._context, mode, self._pointer)

    def _called(self, good: int, store: Any) -> int:
        """OpenSSL's call for one certificate of the chain; an exception must not get into C, so it refuses."""
        lib = _lib()
        answer = REJECTED
        try:
            certificate = lib.X509_STORE_CTX_get_current_cert(store)
            lib.X509_up_ref(certificate)
            handle = lib.X509_STORE_CTX_get_ex_data(store, lib.SSL_get_ex_data_X509_STORE_CTX_idx())
            answer = self._verify(
                SSL.Connection._reverse_mapping[handle],
                crypto.X509._from_raw_x509_ptr(certificate),
                lib.X509_STORE_CTX_get_error(store),
                lib.X509_STORE_CTX_get_error_depth(store),
                bool(good),
            )
        finally:
            lib.X509_STORE_CTX_set_error(store, answer)
        return int(answer == ACCEPTED)


def _lib() -> Any:
    return SSL._lib  # type: ignore[attr-defined]


def _ffi() -> Any:
    return SSL._ffi  # type: ignore[attr-defined]
