"""The media benchmark: streams as phones send them, every fault of a relay found, and what is made of the figures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import typer
from typer.testing import CliRunner

from cubeload import cli
from cubeload.media import plan, relays
from cubeload.media.bench import Bench, Contender, Point
from cubeload.media.command import contender, loads_of
from cubeload.media.plan import CallPlan, MediaLoad, core_address, fresh_key, phone_address, schedule, session
from cubeload.media.relays import FIRST_PORT, FLOOR
from cubeload.media.verdict import capacity, goals, medians
from cubeproxy.protocols.suites import MasterKey, Suite

SPOILED = Path(__file__).with_name("spoiled_relay.py")
LOAD = MediaLoad(calls=1, seconds=0.4, warm=0.2)
HOSTS = "127.0.61.3", "127.0.61.4"


class Spoiled:
    """A call in clear through `spoiled_relay`."""

    def __init__(self, breaks: str) -> None:
        ends = [(HOSTS[0], FIRST_PORT), (HOSTS[1], FIRST_PORT), phone_address(0), core_address(0)]
        words = [str(word) for end in ends for word in end]
        self._process = subprocess.Popen(
            [sys.executable, str(SPOILED), breaks, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline()
        self.pid, self.empty = self._process.pid, 0
        self.calls = [CallPlan(ends[0], ends[1], None)]

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("media"), [replace(LOAD, calls=20)])


@pytest.mark.parametrize("suite", [Suite.AES_CM_128_HMAC_SHA1_80, Suite.AEAD_AES_256_GCM])
@pytest.mark.parametrize("relay", ["io_uring", "epoll", "python", "rtpengine"])
def test_a_relay_passes_all_calls_with_nothing_wrong(bench: Bench, relay: str, suite: Suite) -> None:
    if relay not in bench.relays or (relay == "rtpengine" and not shutil.which(relay)):
        relay = FLOOR  # what is not here is measured nowhere, and the floor is everywhere
    point = bench.measure(relay, replace(LOAD, calls=20, suite=suite))
    assert (point.relay, point.calls, point.suite) == (relay, 20, suite.value)
    assert point.faults == 0
    assert point.loss == 0
    assert 0 < point.p50_us <= point.p99_us <= point.p999_us
    assert 0 < point.timely <= point.per_second
    assert point.cpu_us > 0


def test_rtcp_goes_on_beside_the_packets(bench: Bench) -> None:
    """A relay that terminates RTCP reports for itself within some seconds, to 40 ends."""
    assert bench.measure("epoll", replace(LOAD, calls=20, seconds=3.0)).reports > 0


@pytest.mark.parametrize(
    ("breaks", "faults", "loss", "reordered"),
    [
        ("nothing", False, False, False),
        ("loss", False, True, False),
        ("repeats", True, False, False),
        ("order", False, False, True),
        ("payload", True, True, False),
        ("number", True, True, False),
    ],
)
def test_what_a_relay_spoils_is_found(bench: Bench, breaks: str, faults: bool, loss: bool, reordered: bool) -> None:
    def spoiled(_: Sequence[MasterKey]) -> Spoiled:
        return Spoiled(breaks)

    bench.relays[FLOOR], floor = spoiled, bench.relays[FLOOR]  # phones speak to it in clear
    try:
        point = bench.measure(FLOOR, LOAD)
    finally:
        bench.relays[FLOOR] = floor
    assert (point.faults > 0, point.loss > 0, point.reordered > 0) == (faults, loss, reordered)


def test_an_rtpengine_that_refuses_a_call_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = mock.Mock(process=mock.Mock(pid=os.getpid()))
    engine.call.side_effect = RuntimeError("no more ports")
    monkeypatch.setattr(relays, "Rtpengine", lambda *_: engine)
    with pytest.raises(RuntimeError, match="no more ports"):
        relays.OfRtpengine([fresh_key(Suite.AEAD_AES_128_GCM)])
    engine.close.assert_called_once_with()


# what is sent


def test_phases_are_spread_and_the_same_for_every_relay() -> None:
    load = MediaLoad(calls=1000)
    events = schedule(load)
    assert events == schedule(load) != schedule(replace(load, seed=2))
    assert sorted(stream for stream, _ in events) == list(range(2000))
    offsets = [offset for _, offset in events]
    assert offsets == sorted(offsets)
    for quarter in range(4):  # uniform: about 500 in each 5 ms
        assert 400 < sum(quarter * 5_000_000 <= offset < (quarter + 1) * 5_000_000 for offset in offsets) < 600


@pytest.mark.parametrize("suite", list(Suite))
def test_streams_are_what_pylibsrtp_makes_of_them(tmp_path: Path, suite: Suite) -> None:
    load = MediaLoad(calls=2, seconds=0.1, warm=0.0, suite=suite)
    keys = [fresh_key(suite) for _ in range(2)]
    streams = plan.write_streams(tmp_path / "streams", load, keys)
    data = streams.path.read_bytes()
    for call, key in enumerate(keys):
        under = session(key, sending=False)
        for number in range(load.cells):
            at = (call * load.cells + number) * plan.STRIDE
            packet = data[at + 2 : at + 2 + int.from_bytes(data[at : at + 2], sys.byteorder)]
            if number < load.rounds:
                assert under.unprotect(packet)[12:] == plan.payload(call, number)
            else:
                assert under.unprotect_rtcp(packet)[1] == 200


def test_a_forged_sample_is_a_fault(tmp_path: Path) -> None:
    key = fresh_key(Suite.AES_CM_128_HMAC_SHA1_80)
    under = session(key, sending=True)
    packets = [under.protect(bytes((0x80, 0, 0, number)) + bytes(8) + plan.payload(0, number)) for number in range(3)]
    packets[1] = packets[1][:-1] + bytes((packets[1][-1] ^ 1,))
    words = [
        b"".join(part.to_bytes(4, sys.byteorder) for part in (0, number, len(packet))) + packet
        for number, packet in enumerate(packets)
    ]
    (tmp_path / "samples").write_bytes(b"".join(words))
    assert plan.check_samples(tmp_path / "samples", [CallPlan(("", 0), ("", 0), key)]) == (3, 1)


# what is made of it


def point(relay: str, calls: int, p99: float = 100.0, suite: str = "AES_CM_128_HMAC_SHA1_80", **more: float) -> Point:
    figures = {
        "cpu_us": 4.0, "cores": 0.5, "loss": 0.0, "p50_us": 50.0, "p99_us": p99, "p999_us": p99, "reordered": 0,
        "per_second": calls * 100.0, "timely": calls * 100.0, "reports": 1, "faults": 0, "lag_us": 1.0, "late": 0.0,
        "busy": 0.5, "kib_a_call": 6.0,
    } | more  # fmt: skip
    return Point(relay=relay, calls=calls, suite=suite, **figures)  # type: ignore[arg-type]


def test_a_load_passes_when_its_medians_do() -> None:
    stalled = [point("x", 10, p99) for p99 in (100, 200, 9000, 9000, 300)]
    lost = [point("x", 20, loss=loss) for loss in (0.0, 0.002, 0.002)]
    wrong = [point("x", 30, faults=number) for number in (0, 0, 1)]
    found = medians(stalled + lost + wrong)
    assert [(m.point.calls, m.passes, m.passed, m.runs) for m in found] == [
        (10, True, 3, 5),
        (20, False, 1, 3),
        (30, False, 2, 3),
    ]
    assert found[0].point.p99_us == 300


def test_capacity_ends_at_the_first_load_that_fails() -> None:
    found = medians([point("x", 600), point("x", 800), point("x", 1000, 6000), point("x", 1200), point("y", 600, 6000)])
    assert capacity(found, "x", "AES_CM_128_HMAC_SHA1_80") == 800
    assert capacity(found, "y", "AES_CM_128_HMAC_SHA1_80") == 0


def test_goals_are_ratios_to_the_mark() -> None:
    ours = [point("io_uring", 600, cpu_us=4.0), point("io_uring", 1600), point("io_uring", 2000)]
    ours.append(point("io_uring", 600, suite="AEAD_AES_128_GCM", cpu_us=6.0))
    mark = [point("rtpengine", 600, cpu_us=10.0), point("rtpengine", 2000, 90_000, per_second=100_000.0)]
    mark.append(point("rtpengine", 600, suite="AEAD_AES_128_GCM", cpu_us=10.0))
    found = {goal.text.partition(":")[0]: (goal.got, goal.met) for goal in goals(medians(ours + mark))}
    assert found == {
        "calls at loss < 0.1% and p99 < 5 ms": (3.33, True),
        "AES_CM_128_HMAC_SHA1_80, 600 calls": (0.4, True),
        "AEAD_AES_128_GCM, 600 calls": (0.6, False),
        "2000 calls offered": (2.0, True),
        "memory of a stream beyond socket buffers, 2000 calls": (3.0, True),
    }


def test_no_capacity_is_claimed_against_a_mark_that_was_not_taken_to_its_limit() -> None:
    found = medians([point("io_uring", 600), point("rtpengine", 600)])
    assert not [goal for goal in goals(found) if goal.text.startswith("calls")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("epoll", Contender("epoll")),
        ("python:200", Contender("python", 0, 200)),
        ("floor:600-2000", Contender("floor", 600, 2000)),
    ],
)
def test_relays_are_named_with_the_calls_that_they_are_measured_at(text: str, found: Contender) -> None:
    assert contender(text) == found


def test_what_cannot_be_measured_is_refused() -> None:
    for text in ("python:many", "python:1-b"):
        with pytest.raises(typer.BadParameter):
            contender(text)
    for calls in ("0", "100,30000"):
        with pytest.raises(typer.BadParameter):
            loads_of(calls, "AEAD_AES_128_GCM", 1)


def test_other_suites_are_measured_where_cpu_is_compared() -> None:
    loads = loads_of("300,600,900", "AES_CM_128_HMAC_SHA1_80,AEAD_AES_128_GCM", 2)
    assert [(load.calls, load.suite.value) for load in loads] == [
        (300, "AES_CM_128_HMAC_SHA1_80"),
        (600, "AES_CM_128_HMAC_SHA1_80"),
        (900, "AES_CM_128_HMAC_SHA1_80"),
        (600, "AEAD_AES_128_GCM"),
    ]


def test_a_comparison_is_written_with_a_line_for_each_relay_and_load(tmp_path: Path) -> None:
    words = ["media", "--calls", "2,4", "--relays", "floor,epoll:2", "--rounds", "1", "--seconds", "0.2"]
    result = CliRunner().invoke(cli.app, [*words, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    text = (tmp_path / "bench.md").read_text()
    lines = [line.split(" | ")[1:3] for line in text.splitlines() if line.startswith("| AES_CM")]
    assert lines == [["2", "epoll"], ["2", "floor"], ["4", "floor"]]
    assert (tmp_path / "media.png").exists() == ("media.png" in text)
