"""libsrtp sessions as `srtp` uses them: pylibsrtp's, and the rollover counter of a stream, which it does not offer.

The wheel's shared object exports libsrtp's own functions for that (`srtp_set_stream_roc`, `srtp_get_stream_roc`, both
since libsrtp 2.1). Where it does not, `ROLLOVERS` is None and a session has to be led to a place packet by packet.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import pylibsrtp
from pylibsrtp import _binding

from cubeproxy.protocols.suites import MasterKey, Suite

PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
Session = pylibsrtp.Session
Error = pylibsrtp.Error


def policy(key: MasterKey, ssrc: int | None, window: int) -> pylibsrtp.Policy:
    """For the stream of one SSRC, or for whatever comes when it is None."""
    kind = pylibsrtp.Policy.SSRC_ANY_INBOUND if ssrc is None else pylibsrtp.Policy.SSRC_SPECIFIC
    made = pylibsrtp.Policy(key.master, kind, ssrc or 0, PROFILES[key.suite])
    made.window_size = window
    return made


def session(key: MasterKey, ssrc: int | None, window: int) -> pylibsrtp.Session:
    """A session that sends as `ssrc`, or receives whatever comes when it is None."""
    return pylibsrtp.Session(policy(key, ssrc, window))


@dataclass(slots=True, frozen=True)
class Rollovers:
    """libsrtp's access to a stream that a session holds already."""

    _set: Callable[[int, int, int], int]
    _get: Callable[..., int]

    def set(self, session: pylibsrtp.Session, ssrc: int, rollover: int) -> None:
        """The counter of the next packet of this stream; the replay list begins anew with it."""
        if self._set(_pointer(session), ssrc, rollover):
            raise pylibsrtp.Error("no appropriate context found")

    def get(self, session: pylibsrtp.Session, ssrc: int) -> int:
        found = ctypes.c_uint32()
        if self._get(_pointer(session), ssrc, ctypes.byref(found)):
            raise pylibsrtp.Error("no appropriate context found")
        return found.value


def _pointer(session: pylibsrtp.Session) -> int:
    return int(_binding.ffi.cast("uintptr_t", session._srtp[0]))


def _exported() -> Rollovers | None:
    try:
        library = ctypes.CDLL(_binding.__file__)
        set_, get = library.srtp_set_stream_roc, library.srtp_get_stream_roc
    except (OSError, AttributeError):
        return None
    set_.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
    get.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))
    return Rollovers(set_, get)


ROLLOVERS = _exported()
