"""A benchmark that cannot be believed says so: broken systems, lost and forged packets, counts that disagree."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest
from pylibsrtp import Policy, Session
from typer.testing import CliRunner

from cubeload import bench, cli, memory, parts
from cubeload.bridging import HEADER, MARK, PAYLOAD, Ends, Flight, judge, policy
from cubeload.growth import Sample, summary, theil_sen
from cubeload.links import Link, open_udp
from cubeload.measure import CallResult, Loaded
from cubeload.messages import answer, read
from cubeload.product import Lab
from cubeload.progress import Progress
from cubeload.results import Goal, Section, record
from cubeload.sizes import Sizes
from cubeload.systems import Phone, System

HOST = "127.0.0.1"


class Forwarder:
    """Something like a proxy, on UDP: what comes from one side goes to the other. `breaks` spoils it."""

    def __init__(self, breaks: str) -> None:
        self.breaks = breaks
        self.seen = 0
        self._caller: tuple[str, int] | None = None

    async def open(self) -> System:
        self.core = _free_port()
        self._link = await open_udp(self._received, HOST)
        port = int(self._link.here.rpartition(":")[2])
        phones = [Phone("1000", HOST)]
        return System("x", "UDP", os.getpid(), (HOST, port), [(HOST, self.core)], HOST, phones, counted=self._counted)

    def close(self) -> None:
        self._link.close()

    def _counted(self) -> int:
        return self.seen // 2 if self.breaks == "counts" else self.seen

    def _received(self, link: Link, data: bytes, source: tuple[str, int]) -> None:
        message = read(data)
        assert message is not None
        if message.status:
            link.send(data, self._caller)
            return
        self._caller = source
        self.seen += message.method == "INVITE"
        if self.breaks == "busy" and message.method == "INVITE" and self.seen % 2:
            link.send(answer(data, "503 Service Unavailable", "t"), source)
        elif not (self.breaks == "deaf" and message.method == "BYE"):
            link.send(data, (HOST, self.core))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cubeload.calling.PATIENCE", 0.3)
    monkeypatch.setattr("cubeload.measure.pin", lambda _pid, _core: None)
    monkeypatch.setattr("cubeload.measure.SETTLE", 0.0)


async def load(breaks: str) -> CallResult:
    forwarder = Forwarder(breaks)
    system = await forwarder.open()
    try:
        async with Loaded(system, hold=0.02) as loaded:
            return await loaded.calls(rate=50, seconds=0.4)
    finally:
        forwarder.close()


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        ("busy", "10 calls failed, 503 to INVITE"),
        ("deaf", "20 calls failed, no answer to BYE"),
        ("counts", "counts 10 calls, the generator 20"),
    ],
)
def test_a_broken_proxy_is_found_out(breaks: str, said: str) -> None:
    assert any(said in doubt for doubt in parts.doubts(asyncio.run(load(breaks))))


def test_a_sound_proxy_is_believed() -> None:
    result = asyncio.run(load(""))
    assert (result.clean, result.counted_by_system) == (20, 20)
    assert parts.doubts(result) == []


def test_a_late_generator_is_a_doubt() -> None:
    result = asyncio.run(load(""))
    result.generator_late_ms = parts.LATE + 1
    assert parts.doubts(result) == ["the generator was 251 ms late"]


def test_connections_that_were_not_held_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that closes every second connection cannot pass for one that holds them cheaply."""
    monkeypatch.setattr(memory, "SETTLE", 0.1)

    async def run() -> memory.Cost:
        kept: list[asyncio.StreamWriter] = []

        def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            kept.append(writer)
            if len(kept) % 2:
                writer.close()

        server = await asyncio.start_server(accepted, HOST, 0)
        system = System("x", "", os.getpid(), server.sockets[0].getsockname()[:2], [], HOST, [])
        try:
            return await memory.half_open(system, memory.SILENT, few=2, many=10)
        finally:
            for writer in kept:
                writer.close()
            server.close()

    found = asyncio.run(run())
    assert (found.many, found.held) == (10, 5)


# packets


def packet(call: int, number: int) -> bytes:
    return HEADER.pack(0x80, 0, number, number * 160, 5) + MARK.pack(call, number) + bytes(PAYLOAD - MARK.size)


def flights(clear: list[bytes], secure: list[bytes]) -> tuple[Flight, Flight]:
    """Arrivals of call 0 at 2.0 s, all sent at 1.5 s."""
    sock = socket.socket()
    sock.close()
    sent = [[1.5] * 4]
    return (
        Flight(sock, sent, [(20, data, 2.0) for data in clear]),
        Flight(sock, sent, [(10, data, 2.0) for data in secure]),
    )


def test_each_packet_is_judged_by_what_it_holds() -> None:
    key = bytes(range(30))
    sender = Session(policy(key, Policy.SSRC_ANY_OUTBOUND))
    good, forged = sender.protect(packet(0, 1)), bytearray(sender.protect(packet(0, 2)))
    forged[-1] ^= 1
    ends = [Ends((HOST, 10), (HOST, 20), Session(policy(key, Policy.SSRC_ANY_INBOUND)))]
    clear = [packet(0, 0), packet(0, 0), packet(0, 1), packet(1, 2), packet(0, 3)[:-1] + b"x"]
    delays, wrong, right = judge(flights(clear, [good, good, bytes(forged)]), ends, first=0)
    assert right == 3  # two clear, one encrypted
    assert wrong == 5  # repeated, another call's, changed; replayed, not authentic
    assert delays == [0.5] * 3


def test_a_packet_from_nowhere_is_no_arrival() -> None:
    ends = [Ends((HOST, 11), (HOST, 21), Session(policy(bytes(30), Policy.SSRC_ANY_INBOUND)))]
    assert judge(flights([packet(0, 0)], []), ends, first=0) == ([], 0, 0)


# growth


def test_a_leak_shows_as_what_stayed_and_as_a_slope() -> None:
    """1 kB a call: 1000 kB every 1000 calls, both ways of looking at it."""
    samples = [Sample(at, at * 100, 50_000_000 + at * 100 * 1024, 0) for at in range(31)]
    found = summary("x", rate=100, before=0, failed=0, counted=3000, samples=samples)
    assert found.left_kB_per_1000_calls == 1000
    assert found.slope_kB_per_1000_calls == 1000
    assert found.left_in_media_kB_per_1000_calls == 0


def test_the_slope_does_not_follow_an_outlier() -> None:
    points = [(float(x), 2.0 * x) for x in range(20)]
    points[7] = (7.0, 900.0)
    assert theil_sen(points) == pytest.approx(2.0)
    assert theil_sen([(1.0, 1.0)]) == 0.0


# what is written, and the exit code


def test_a_missed_goal_is_written_as_such(tmp_path: Path) -> None:
    section = Section("a", "A title", "how it was done", "the rest", rows=[{"cpu_ms": 2.0}, {"cpu_ms": 3}])
    section.goals = [Goal("cpu", 1.0, 2.0, "ms"), Goal("rate", 10, 20, "/s", most=False)]
    data, text = record(tmp_path, [section], "cubeload bench")
    assert "- cpu: 2 ms (at most 1: MISSED)" in text.read_text()
    assert "- rate: 20 /s (at least 10: met)" in text.read_text()
    assert "How: how it was done" in text.read_text()
    assert "Not measured: the rest" in text.read_text()
    assert "| cpu ms | 2.0 | 3 |" in text.read_text()
    document = json.loads(data.read_text())
    assert [goal["met"] for goal in document["sections"][0]["goals"]] == [False, True]
    assert document["machine"]["cores"] == os.cpu_count()
    assert document["versions"]["cubeproxy"] != "not installed"


def part(**changes: object) -> parts.Part:
    def run(_: parts.Run) -> Section:
        if error := changes.get("error"):
            raise RuntimeError(error)
        return Section("calls", "Calls", "", "", faults=list(changes.get("faults", [])))  # type: ignore[call-overload]

    return run


@pytest.mark.parametrize(
    ("stand_in", "code", "said"),
    [
        (part(), 0, "Calls"),
        (part(faults=["counts disagree"]), 1, "not to be believed: counts disagree"),
        (part(error="sippy does not listen"), 1, "not to be believed: RuntimeError: sippy does not listen"),
    ],
)
def test_the_exit_code_says_whether_to_believe_it(
    stand_in: parts.Part, code: int, said: str, tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts.PARTS, "calls", stand_in)
    monkeypatch.setattr(bench, "make_lab", lambda _folder, _phones: lab)
    monkeypatch.setattr(bench, "pin", lambda _pid, _core: None)
    result = CliRunner().invoke(cli.app, ["bench", "--only", "calls", "--out", str(tmp_path)])
    assert result.exit_code == code
    assert said in (tmp_path / "bench.md").read_text()


def test_an_unknown_part_is_refused_by_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["bench", "--only", "coffee", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "no part coffee" in " ".join(result.output.split())


def test_a_part_that_breaks_off_does_not_stop_the_others(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.PARTS, "calls", part(error="gone"))
    monkeypatch.setitem(parts.PARTS, "ramp", part())
    monkeypatch.setattr(bench, "make_lab", lambda _folder, _phones: lab)
    monkeypatch.setattr(bench, "pin", lambda _pid, _core: None)
    sections = bench.measure(["calls", "ramp"], Sizes(), Path(), Progress(2))
    assert [bool(section.faults) for section in sections] == [True, False]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
