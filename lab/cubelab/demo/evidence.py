"""What the judges share: an outcome, its words, and which of the proxy's events explain what."""

from __future__ import annotations

from collections.abc import Iterable

from cubelab.demo.observations import Complaint

Outcome = tuple[bool, str]  # whether the claim holds, and the evidence

# Events of the proxy that explain a failure, by the beginning of their names.
ABOUT_REGISTRATION = ("tls.", "registration.", "node.", "core.", "keepalive.")
ABOUT_FILES = ("file.", "config.refused", "ctl.", "phoneproxy.")
ABOUT_MEDIA = ("media.", "srtp.", "rtp.")
ABOUT_FARM = ("sccp.", "dsp.", "transcoder.")


def about(complaints: Iterable[Complaint], *prefixes: str, who: str = "proxy") -> list[str]:
    """What the proxy (or `who`) said about it, at most two lines."""
    return [f"{who}: {one}" for one in complaints if one.name.startswith(prefixes)][:2]


def join(parts: Iterable[str]) -> str:
    return "; ".join(parts)
