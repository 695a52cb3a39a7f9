"""The benchmarks run against the product: a short load at a low pace, so that a figure can be had at any time."""

from __future__ import annotations

import pytest

from cubeload.footprint import measure_footprint
from cubeload.growth import measure_growth
from cubeload.measure import Load, measure_calls
from cubeload.product import cubeproxy_system


def test_calls_pass_from_tls_and_sdes_to_udp() -> None:
    with cubeproxy_system(phones=4) as system:
        result = measure_calls(system, Load(rate=20, seconds=2, hold=0.2, pin_to=None))
    assert (result.clean, result.failed) == (40, {})
    assert result.cpu_ms_per_call > 0
    assert 0 < result.setup_ms_p50 <= result.setup_ms_p99


def test_a_footprint_is_measured() -> None:
    with cubeproxy_system(phones=20) as system:
        footprint = measure_footprint(system, rounds=1, half_open=50)
    assert (footprint.phones, footprint.refreshes, footprint.half_open) == (20, 20, 50)
    assert footprint.handshake_and_register_ms_cpu > footprint.refresh_ms_cpu >= 0


def test_growth_is_read_after_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cubeload.growth.SETTLE", 0.1)
    with cubeproxy_system(phones=2) as system:
        marks = measure_growth(system, rate=20, calls=20, marks=2)
    assert [(mark.calls, mark.failed) for mark in marks] == [(0, 0), (10, 0), (20, 0)]
