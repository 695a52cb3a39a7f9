"""`cubeproxy run`: from configuration text to a process that serves until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Mapping
from typing import TextIO

import uvloop

from cubeproxy.config.mapping import apply_map
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.config.references import check_references
from cubeproxy.pki.store import Store
from cubeproxy.protocols.values import Severity
from cubeproxy.server.control import ControlSocket
from cubeproxy.server.eventlog import EventLog
from cubeproxy.server.metrics import serve_metrics
from cubeproxy.server.orders import Orders
from cubeproxy.server.proxy import Proxy
from cubeproxy.server.settings import Settings
from cubeproxy.views.show import Show


def load(text: str, mapping: Mapping[str, str]) -> Config:
    """Configuration text with lab addresses in place. Raises ConfigError."""
    return apply_map(parse_config(text), mapping)


def run(
    config: Config,
    settings: Settings,
    *,
    json_lines: bool = False,
    level: Severity = Severity.INFO,
    out: TextIO = sys.stderr,
) -> None:
    """Serve until SIGTERM or SIGINT has drained the calls. Raises ConfigError, TrustError or OSError at start."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold every key
    _raise_descriptors()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, settings, json_lines, level, out))


async def _serve(config: Config, settings: Settings, json_lines: bool, level: Severity, out: TextIO) -> None:
    loop = asyncio.get_running_loop()
    log = EventLog(out, json_lines=json_lines, level=level, clock=loop.time)
    store = Store(settings.nvram, config.trustpoints)
    for event in (*store.events, *check_references(config)):
        log.write(event)
    proxy = Proxy(config, store, settings, log)
    orders = Orders(proxy.media.pool.engines, Show(proxy.sources()).answer, log.write)
    control = ControlSocket(settings.control, orders.answer) if settings.control else None
    stop_metrics = serve_metrics(settings.metrics, proxy) if settings.metrics else None
    try:
        await proxy.start()
        if control:
            await control.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, proxy.drain)
        loop.add_signal_handler(signal.SIGHUP, proxy.trust.ask)
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # calls leave few cycles; long pauses would be heard nowhere, but seen in p99
        await proxy.finished.wait()
    finally:
        if control:
            await control.close()
        if stop_metrics:
            stop_metrics()
        await proxy.close()


def _raise_descriptors() -> None:
    """Four sockets a call: take as many descriptors as we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
