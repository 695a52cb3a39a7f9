"""Octets for tags and keys: as many as wanted, never the same twice, and not those of the parent after a fork."""

from __future__ import annotations

import os

from cubeproxy.protocols import entropy


def test_as_many_octets_as_wanted_whatever_is_in_store():
    sizes = [0, 1, 12, 30, entropy.PAGE - 1, entropy.PAGE, 3 * entropy.PAGE, 7]
    assert [len(entropy.take(size)) for size in sizes] == sizes


def test_nothing_is_handed_out_twice():
    taken = [entropy.take(16) for _ in range(5 * entropy.PAGE // 16)]
    assert len(set(taken)) == len(taken)


def test_what_was_handed_out_is_gone_from_the_store():
    octets = entropy.take(16)
    assert octets not in bytes(entropy._store)


def test_a_forked_process_does_not_repeat_its_parent():
    entropy.take(1)  # something is in store now
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, entropy.take(32))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 32)
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 32
    assert theirs != entropy.take(32)
