"""Prometheus metrics: read from the proxy's own counters when asked, nothing is counted twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cubeproxy.media.counters import SUMMED
from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.values import Address

if TYPE_CHECKING:
    from cubeproxy.server.proxy import Proxy


class ProxyCollector(Collector):
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def collect(self) -> Iterator[Metric]:
        proxy = self._proxy
        yield GaugeMetricFamily("cubeproxy_calls", "Calls that are up or being set up.", len(proxy.border.calls))
        yield CounterMetricFamily("cubeproxy_calls_connected", "Calls connected.", proxy.border.calls.total)
        yield GaugeMetricFamily("cubeproxy_registrations", "Live bindings.", len(proxy.border.registrations.bindings))
        yield GaugeMetricFamily("cubeproxy_connections", "Open TCP and TLS connections.", proxy.transport.connections)
        events = CounterMetricFamily("cubeproxy_events", "Operator events by name.", labels=["event"])
        for name, count in list(proxy.log.counts.items()):  # a copy: this runs in the server's own thread
            events.add_metric([name], count)
        yield events
        counters = proxy.transport.counters
        kinds = CounterMetricFamily(
            "cubeproxy_sip_messages", "SIP messages by direction and kind.", labels=["direction", "kind"]
        )
        for direction, of_direction in (("in", counters.kinds_in), ("out", counters.kinds_out)):
            for kind, count in list(of_direction.items()):
                kinds.add_metric([direction, str(kind)], count)
        yield kinds
        media = proxy.media.totals()
        for name in SUMMED:
            yield CounterMetricFamily(f"cubeproxy_media_{name}", f"Media, all legs: {name}.", getattr(media, name))
        yield GaugeMetricFamily("cubeproxy_media_sessions", "Media sessions in progress.", proxy.media.sessions)
        for field in fields(counters):
            count = getattr(counters, field.name)
            if isinstance(count, int):
                yield CounterMetricFamily(f"cubeproxy_transport_{field.name}", field.name.replace("_", " "), count)


def serve_metrics(address: Address, proxy: Proxy) -> Callable[[], None]:
    """Serve on `address` from a thread; the answer stops it. ConfigError when it cannot be bound."""
    registry = CollectorRegistry()
    registry.register(ProxyCollector(proxy))
    try:
        server, thread = start_http_server(address[1], address[0], registry)
    except OSError as error:
        where = format_address(address)
        raise ConfigError(
            f"cannot serve metrics on {where}: {error.strerror}", fix="give another address with --metrics"
        ) from None

    def stop() -> None:
        server.shutdown()
        thread.join(2)

    return stop
