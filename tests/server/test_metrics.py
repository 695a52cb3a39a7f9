"""What Prometheus reads: every counter of the transport, and messages and events by their kind."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from cubeproxy.protocols.values import StreamCounters
from cubeproxy.server.metrics import ProxyCollector
from cubeproxy.transport.counters import Counters


class Calls:
    total = 3

    def __len__(self) -> int:
        return 1


def read(counters: Counters) -> dict[str, float]:
    """The exposition of a proxy that has these counters, without its comments."""
    proxy: Any = SimpleNamespace(
        border=SimpleNamespace(calls=Calls(), registrations=SimpleNamespace(bindings=[1, 2])),
        transport=SimpleNamespace(connections=4, counters=counters),
        log=SimpleNamespace(counts={"call.ended": 7}),
        media=SimpleNamespace(totals=lambda: StreamCounters(received=11, auth_failures=3, jitter=9), sessions=6),
    )
    registry = CollectorRegistry()
    registry.register(ProxyCollector(proxy))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_every_number_of_the_transport_is_exported() -> None:
    counters = Counters()
    numbers = [field.name for field in fields(counters) if field.type == "int"]
    assert "udp_dropped" in numbers
    for value, name in enumerate(numbers, 100):
        setattr(counters, name, value)
    found = read(counters)
    assert {name: found[f"cubeproxy_transport_{name}_total"] for name in numbers} == {
        name: value for value, name in enumerate(numbers, 100)
    }


def test_what_all_streams_counted_is_exported_and_gauges_are_not_summed() -> None:
    found = read(Counters())
    assert found["cubeproxy_media_received_total"] == 11
    assert found["cubeproxy_media_auth_failures_total"] == 3
    assert found["cubeproxy_media_sessions"] == 6
    assert not [name for name in found if "jitter" in name]


def test_messages_are_told_apart_by_direction_and_kind() -> None:
    counters = Counters(kinds_in={"INVITE": 2}, kinds_out={200: 5})
    found = read(counters)
    assert found['cubeproxy_sip_messages_total{direction="in",kind="INVITE"}'] == 2
    assert found['cubeproxy_sip_messages_total{direction="out",kind="200"}'] == 5
    assert found['cubeproxy_events_total{event="call.ended"}'] == 7
    assert found["cubeproxy_connections"] == 4
