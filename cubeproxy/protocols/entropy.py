"""Octets that nobody can guess, for tags, branches and keys: the operating system's, fetched a page at a time.

Three rules: what was handed out is gone from the store; a forked process begins with an empty one, so that it never
repeats its parent; and it is for the event loop's thread, since two threads could take the same octets. `secrets` asks
the system each time, which at six times a call costs a signalling process 3 % of its time.
"""

from __future__ import annotations

import os

PAGE = 4096  # octets fetched at once

_store = bytearray()
os.register_at_fork(after_in_child=_store.clear)


def take(count: int) -> bytes:
    """So many octets."""
    if len(_store) < count:
        _store.extend(os.urandom(PAGE + count))
    octets = bytes(_store[-count:]) if count else b""
    del _store[len(_store) - count :]
    return octets
