"""How much of everything a benchmark takes: the short one, the long one that is recorded, and what tests take."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Sizes:
    """How much of everything. Times in s; `warm_up` is longer than what SIP keeps of a call (64*T1 = 32 s)."""

    rate: float = 300
    rounds: int = 1
    warm_up: float = 34
    seconds: float = 8
    callers: int = 64
    ramp: list[float] = field(default_factory=lambda: [300, 450, 600, 750, 900, 1050])
    ramp_seconds: float = 4
    registering: float = 5
    phones: tuple[int, int] = (100, 400)
    half_open: tuple[int, int] = (500, 3000)
    shaking: tuple[int, int] = (100, 450)
    calls: tuple[int, int] = (100, 1000)
    before: int = 3000  # as many as SIP holds at a time later, or the high-water mark is taken for growth
    growth: int = 3000
    bridge: list[int] = field(default_factory=lambda: [50, 100, 200, 300, 400, 500])
    bridge_seconds: float = 3
    media: list[int] = field(default_factory=lambda: [300, 600])
    media_seconds: float = 2


def short() -> Sizes:
    return Sizes()


def long() -> Sizes:
    return Sizes(
        rounds=3,
        seconds=15,
        ramp=[300, 450, 600, 750, 900, 1050, 1200, 1350],
        ramp_seconds=8,
        registering=10,
        phones=(200, 1000),
        half_open=(1000, 6000),
        calls=(200, 2000),
        before=10_000,
        growth=50_000,
        bridge=[50, 100, 200, 300, 400, 500, 600, 700, 800],
        bridge_seconds=6,
        media=[300, 600, 1000],
        media_seconds=3,
    )
