"""The planning question, both ways: how many calls a module carries, and which modules so many calls take.

A session reserves its credits whole, by the more complex codec of its two sides. A profile reserves every session at
the price of its most complex codec, whatever the calls then use: one `codec g729r8` left in the list makes all dear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cubeproxy.config.model import DspfarmProfile
from cubeproxy.media.dsp.tables import CODECS, LOW, MODULES, OVERRIDES, SESSION_CREDITS, Complexity, Module
from cubeproxy.protocols.errors import ConfigError

STREAMS = 2  # of a session


def find_module(name: str) -> Module:
    """ConfigError when there is none of this name."""
    module = MODULES.get(name.upper())
    if module is None:
        raise ConfigError(f"no DSP module is called {name}", fix=f"one of {', '.join(MODULES)}")
    return module


def complexity(codec: str) -> Complexity:
    """Of a codec by its IOS name; ConfigError when DSPs do not have it."""
    found = CODECS.get(codec.lower())
    if found is None:
        raise ConfigError(f"no DSP module has the codec {codec}", fix=f"one of {', '.join(CODECS)}")
    return found


@dataclass(slots=True, frozen=True)
class Load:
    """What one session is: a codec on either side, and whether SRTP is on one of them."""

    codec: str
    other: str = "g711ulaw"
    secure: bool = True

    @property
    def classes(self) -> tuple[Complexity, Complexity]:
        """The more complex side first."""
        first, second = complexity(self.codec), complexity(self.other)
        return max(first, second), min(first, second)

    def credits(self, family: str) -> int:
        """Of one session on modules of a family."""
        return SESSION_CREDITS[family, self.secure, *self.classes]

    def sessions(self, module: Module) -> int:
        """How many of them a module carries."""
        override = OVERRIDES.get((module.name, self.secure, *self.classes))
        return module.credits // self.credits(module.family) if override is None else override


@dataclass(slots=True, frozen=True)
class Choice:
    """So many modules of one kind, and the sessions that they carry together."""

    module: Module
    count: int
    sessions: int


def choices(calls: int, load: Load, modules: Iterable[Module] = MODULES.values()) -> list[Choice]:
    """For every kind of module how many of it `calls` sessions take."""
    found = []
    for module in modules:
        each = load.sessions(module)
        count = -(-calls // each) if each else 0
        if count:
            found.append(Choice(module, count, count * each))
    return found


def best(options: Iterable[Choice]) -> Choice | None:
    """The one with the fewest modules, then the smallest, then the newest family."""
    ranked = sorted(options, key=lambda one: one.module.family, reverse=True)
    return min(ranked, key=lambda one: (one.count, one.module.credits), default=None)


def profile_load(profile: DspfarmProfile) -> Load:
    """What a profile reserves for each session: its most complex codec, and that of the other side. Codecs that DSPs
    do not have cost nothing here, since no session will use them."""
    known = sorted((CODECS[name], name) for name in profile.codecs if name in CODECS)
    dearest = known[-1][1] if known else "g711ulaw"
    if profile.universal and known:
        others = [name for rank, name in known if name != dearest] or [dearest]
        return Load(dearest, others[-1], profile.security)
    return Load(dearest, "g711ulaw", profile.security)


def profile_sessions(profile: DspfarmProfile, module: Module | None) -> int:
    """How many sessions a profile has: what it was told, and no more than the module carries. None: no module sets a
    limit, as in software."""
    if module is None:
        return profile.maximum_sessions
    return min(profile.maximum_sessions, profile_load(profile).sessions(module))


def complexity_name(load: Load) -> str:
    """As `show voice dsp group` names it."""
    name = "MEDIUM" if load.classes[0] <= LOW else load.classes[0].name
    return f"SECURE {name}" if load.secure else name
