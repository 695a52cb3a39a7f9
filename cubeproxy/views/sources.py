"""What the views look at: a running proxy, without its sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cubeproxy.border.border import Border
from cubeproxy.config.model import Config
from cubeproxy.media.transcoders.pool import TranscoderPool
from cubeproxy.pki.store import Material, Store
from cubeproxy.protocols.values import StreamCounters
from cubeproxy.views.phonefiles import FileState

NO_COUNTERS = (StreamCounters(), StreamCounters())


@dataclass(slots=True)
class Sources:
    """`clock` is the border's (seconds); `counters` gives both legs of a media session."""

    config: Config
    border: Border
    clock: Callable[[], float]
    counters: Callable[[int], tuple[StreamCounters, StreamCounters]]
    started_at: float
    engine: Callable[[], str] = lambda: "none"
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    store: Store | None = None
    transcoders: TranscoderPool | None = None
    inner_counters: Callable[[int], tuple[StreamCounters, StreamCounters]] = lambda _session: NO_COUNTERS  # to a farm
    phone_files: Callable[[], Mapping[str, FileState]] = dict  # by the name of the phone proxy

    def trustpoints(self) -> list[Material]:
        return list(self.store.material.values()) if self.store is not None else []

    def wall_time(self, at: float) -> datetime:
        """A moment of the border's clock as a date."""
        return self.wall() - timedelta(seconds=self.clock() - at)

    def uptime_ms(self, at: float) -> int:
        return max(0, round((at - self.started_at) * 1000))
