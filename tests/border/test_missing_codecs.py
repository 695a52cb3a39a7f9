"""A codec that nothing on this box codes is no codec of a transcoder, whatever its profile says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cubeproxy.border.formats import agree
from cubeproxy.border.plan import Plan
from cubeproxy.protocols.values import Codec

from .scene import sample
from .test_interworking import PROFILE, two_codecs


@pytest.mark.parametrize(("missing", "offered"), [((), True), (("g722-64",), True), (("g729ar8",), False)])
def test_it_is_not_offered(missing: tuple[str, ...], offered: bool) -> None:
    profile = PROFILE.format(" universal security")
    config = sample(replace={"voice class uri ACC sip\n": f"{profile}voice class uri ACC sip\n"})
    assert Plan(config, missing).transcodes("g729", "pcmu") is offered
    assert Plan(config, missing).transcodes("pcmu", "g729") is offered


@pytest.mark.parametrize("side", ["phone", "core"])
def test_between_two_codecs_each_leg_has_its_own_way_to_tell_digits(side: str) -> None:
    """A transcoder hears tones and makes them, so events on one leg need none on the other."""
    one = two_codecs("g729ar8")
    peers = one.border.plan.peers
    without = {100, 101} if side == "phone" else {200, 201}
    for tag in without & peers.keys():
        peers[tag] = replace(peers[tag], dtmf=False)
    offered = [(0, Codec("pcmu", 8000)), (97, Codec("telephone-event", 8000))]
    here, there = agree(offered, peers[100], peers[200], one.border.plan.transcodes)
    assert [number for number, _ in here] == ([0] if side == "phone" else [0, 97])
    assert [number for number, _ in there] == ([18, 101] if side == "phone" else [18])
