"""The benchmark against the product, small: what the generator counts, the product counts too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from cubeload import growth as growing
from cubeload import measure, memory, registering
from cubeload.bridging import bridging
from cubeload.measure import Loaded
from cubeload.parts import doubts
from cubeload.product import Lab, configuration, proxy_system
from cubeload.systems import System


@pytest.fixture
def everywhere() -> Iterator[None]:
    """Gives the test its cores back."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SETTLE", 0.1)
    monkeypatch.setattr(measure, "SETTLE", 0.0)


@pytest.fixture
def system(lab: Lab, everywhere: None) -> Iterator[System]:
    with proxy_system(lab) as running:
        yield running


def test_calls_are_counted_alike_on_both_sides(system: System) -> None:
    async def run() -> measure.CallResult:
        async with Loaded(system, hold=0.1) as loaded:
            result = await loaded.calls(rate=20, seconds=1.5)
            assert loaded.answerers[0].requests["BYE"] >= 30  # more on a machine so busy that it retransmits
            return result

    result = asyncio.run(run())
    assert (result.offered, result.clean, result.counted_by_system) == (30, 30, 30)
    assert doubts(result) == []
    assert 0 < result.signalling_ms_per_call < result.cpu_ms_per_call + 0.001
    assert 0 < result.setup_ms_p50 <= result.setup_ms_p99


def test_refreshes_and_handshakes_all_reach_the_core(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registering, "WARM_UP", 0.1)
    for what in (registering.refreshes, registering.handshakes):
        rate = asyncio.run(what(system, 0.5))
        assert rate.failed == {}
        assert 0 < rate.done <= rate.asked_of_core
        assert rate.cpu_ms_each > 0
        assert rate.tls.startswith("TLSv1.")


def test_every_phone_and_connection_is_held_while_memory_is_read(system: System) -> None:
    phones = asyncio.run(memory.phones(system, few=4))
    assert (phones.few, phones.many, phones.held) == (4, 12, 12)
    for kind in (memory.SILENT, memory.BEGUN, memory.SHAKING):
        found = asyncio.run(memory.half_open(system, kind, few=5, many=40))
        assert (found.many, found.held) == (40, 40)


def test_calls_are_weighed_while_they_are_up(system: System) -> None:
    found = asyncio.run(memory.calls(system, few=5, many=25, rate=50))
    assert [(cost.process, cost.held) for cost in found] == [("signalling", 25), ("media worker", 25)]


def test_growth_is_read_before_while_and_after(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "REST", 0.2)
    monkeypatch.setattr(growing, "EVERY", 0.2)
    found = asyncio.run(growing.growth(system, rate=25, before=10, calls=25))
    assert (found.calls, found.failed, found.counted_by_system) == (25, 0, 25)
    assert found.samples[0].calls == 0
    assert found.samples[-1].calls == 25
    assert len(found.samples) > 3


def test_packets_are_bridged_both_ways_with_nothing_wrong(system: System) -> None:
    results = asyncio.run(bridging(system, [1, 3], seconds=0.4))
    assert [(result.calls, result.sent, result.wrong) for result in results] == [(1, 40, 0), (3, 120, 0)]
    assert all(result.arrived >= 0.9 * result.sent for result in results)
    assert all(0 < result.delay_us_p50 <= result.delay_us_p99 for result in results)


def test_the_sample_is_measured_with_a_core_on_udp_and_ports_enough() -> None:
    text = configuration()
    assert " session transport udp\n" in text
    assert " session transport tcp\n" not in text
    assert "\n rtp-port range 8000 48198\n" in text


@pytest.mark.soak
def test_fifty_thousand_calls_leave_nothing_behind(system: System) -> None:
    """Left after 64*T1: less than 40 octets a call, all processes together, and no call has failed."""
    found = asyncio.run(growing.growth(system, rate=200, before=10_000, calls=50_000))
    assert (found.calls, found.failed, found.counted_by_system) == (50_000, 0, 50_000)
    assert found.left_kB_per_1000_calls < 40
