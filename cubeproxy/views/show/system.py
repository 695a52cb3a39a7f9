"""`show version` and `show running-config`: what runs, as whom, and with which media engine."""

from __future__ import annotations

import platform
from importlib.metadata import version as release_of

from cubeproxy.config.model import Personality
from cubeproxy.config.writer import write_config
from cubeproxy.views.sources import Sources


def version(sources: Sources) -> str:
    family = "IOS XE" if sources.config.personality is Personality.IOSXE else "IOS"
    up = int(sources.clock() - sources.started_at)
    minutes, hours, days = up // 60 % 60, up // 3600 % 24, up // 86400
    return "\n".join(
        [
            f"cubeproxy {release_of('cubeproxy')}, emulating Cisco {family} Software, Version {sources.config.version}",
            f"{sources.config.hostname} uptime is {days} days, {hours} hours, {minutes} minutes",
            f"Media engine: {sources.engine()}",
            *_engines(sources),
            f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
            "",
        ]
    )


def _engines(sources: Sources) -> list[str]:
    """Who else carries calls."""
    member = sources.transcoders.engines if sources.transcoders is not None else None
    if member is None:
        return []
    names = ", ".join(engine.name for engine in member.engines)
    return [f"rtpengine: {sum(engine.up for engine in member.engines)} of {len(member.engines)} answer: {names}"]


def running_config(sources: Sources) -> str:
    """The model as configuration text. It holds no password and no key: those lines are not part of the model."""
    return write_config(sources.config)
