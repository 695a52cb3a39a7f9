"""Where the lab's data files are: certificate profiles and sample configurations, shipped with the package."""

from __future__ import annotations

from pathlib import Path

_DATA = Path(__file__).parent / "_data"


def profiles() -> Path:
    """The folder of certificate profiles (TOML)."""
    return _DATA / "certs"


def config(name: str) -> Path:
    """A sample configuration by its file name: sample-a.ios, sample-a-xe.ios, sample-b.ios, lab.map."""
    return _DATA / "configs" / name
