"""A codec that nothing on this box codes is no codec of a transcoder, whatever its profile says."""

from __future__ import annotations

import pytest

from cubeproxy.border.plan import Plan

from .scene import sample
from .test_interworking import PROFILE


@pytest.mark.parametrize(("missing", "offered"), [((), True), (("g722-64",), True), (("g729ar8",), False)])
def test_it_is_not_offered(missing: tuple[str, ...], offered: bool) -> None:
    profile = PROFILE.format(" universal security")
    config = sample(replace={"voice class uri ACC sip\n": f"{profile}voice class uri ACC sip\n"})
    assert Plan(config, missing).transcodes("g729", "pcmu") is offered
    assert Plan(config, missing).transcodes("pcmu", "g729") is offered
