"""A benchmark run: its parts one after the other, each against systems that are started for it.

What is measured has one core, the generator the other.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cubeload.parts import PARTS, Run
from cubeload.processes import more_descriptors, pin
from cubeload.product import interpreters, make_lab
from cubeload.progress import Progress
from cubeload.results import Section
from cubeload.sizes import Sizes

GENERATOR_CORE = 0


def _seconds(sizes: Sizes) -> dict[str, float]:
    """About how long each part takes."""
    return {
        "calls": sizes.rounds * (1 + len(interpreters())) * (sizes.warm_up + sizes.seconds + 4),
        "ramp": len(sizes.ramp) * (sizes.ramp_seconds + 2) + 6,
        "registrations": 2 * (sizes.registering + 5),
        "memory": 30 + sizes.phones[1] / 80 + sizes.half_open[1] / 100 + sizes.calls[1] / 50,
        "growth": (sizes.before + sizes.growth) / sizes.rate + 80,
        "media": sizes.rounds * len(sizes.media) * 4 * (sizes.media_seconds + 4),
        "bridging": len(sizes.bridge) * (3 * sizes.bridge_seconds + 2) + 10,
    }


def measure(names: list[str], sizes: Sizes, folder: Path, progress: Progress) -> list[Section]:
    """Runs the parts in order; what breaks off one of them is its fault and does not stop the others."""
    more_descriptors()
    pin(os.getpid(), GENERATOR_CORE)
    lab = make_lab(folder / "lab", sizes.phones[1])
    sections = []
    for name in names:
        progress.part(name, _seconds(sizes)[name])
        section = _guarded(name, Run(sizes, lab, progress))
        progress.done([*map(str, section.goals), *section.findings, *(f"FAULT: {fault}" for fault in section.faults)])
        sections.append(section)
    return sections


def _guarded(name: str, run: Run) -> Section:
    try:
        return PARTS[name](run)
    except (OSError, RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
        return Section(name, name, "it broke off", "all of it", faults=[f"{type(error).__name__}: {error}"])
