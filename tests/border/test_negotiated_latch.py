"""`nat symmetric check-media-src` lets a clear leg learn its source once; an SRTP leg learns by its tag anyway."""

from __future__ import annotations

import pytest

from tests.border.scene import Scene, established, sample


@pytest.mark.parametrize("configured", [False, True])
def test_a_clear_leg_learns_its_source_when_configured(configured: bool) -> None:
    config = sample()
    config.sip_ua.check_media_src = configured
    scene = Scene(config)
    established(scene)
    assert [leg.latch for leg in scene.updated().legs if leg] == [configured, configured]
