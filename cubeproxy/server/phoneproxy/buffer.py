"""`voice-phone-proxy file-buffer size MB aging SEC`: files kept for the next phone.

As on the router: above the size nothing new is kept, and what is older than `aging` goes at the check, which comes
every `aging` seconds. Only what many phones share is kept, never a phone's own configuration: a phone that was just
reset must see the change it was reset for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cubeproxy.config.model import FileBuffer

MEGABYTE = 1_048_576


@dataclass(slots=True)
class Kept:
    name: str
    content: bytes = field(repr=False)
    since: float
    hits: int = 0


class Buffer:
    """None as settings: there is no buffer."""

    def __init__(self, settings: FileBuffer | None, now: float) -> None:
        self.settings = settings
        self.limit = settings.size * MEGABYTE if settings else 0
        self.octets = 0
        self.refused = 0  # files that had no room
        self._files: dict[str, Kept] = {}
        self._check_at = now + settings.aging if settings else 0.0

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._files.values())

    def __len__(self) -> int:
        return len(self._files)

    def get(self, name: str, now: float) -> bytes | None:
        self._check(now)
        kept = self._files.get(name)
        if kept is None:
            return None
        kept.hits += 1
        return kept.content

    def put(self, name: str, content: bytes, now: float) -> None:
        self._check(now)
        if self.settings is None or name in self._files:
            return
        if self.octets + len(content) > self.limit:
            self.refused += 1
            return
        self._files[name] = Kept(name, content, now)
        self.octets += len(content)

    def clear(self) -> None:
        self._files.clear()
        self.octets = 0

    def _check(self, now: float) -> None:
        if self.settings is None or now < self._check_at:
            return
        self._check_at = now + self.settings.aging
        for kept in [kept for kept in self._files.values() if now - kept.since >= self.settings.aging]:
            del self._files[kept.name]
            self.octets -= len(kept.content)
