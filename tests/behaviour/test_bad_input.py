"""Bad input of every kind at once, for long: nothing lost for others, one line an event, memory flat."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.behaviour.barrage import Barrage, quiet
from tests.behaviour.siege import Siege

ROUNDS = (20_000, 40_000, 40_000)  # the first one warms up: pools, tables and buffers take their size
TOTAL = sum(ROUNDS)
REST = 70.0  # s after each: twice the longest that a transaction or an unacknowledged call lives (64 * T1)
GROWTH = 2_000  # kB that either process may hold more after a later round than after the first


class Sample(NamedTuple):
    """Resident memory in kB."""

    when: str
    signalling: int
    worker: int


def found() -> Path | None:
    folder = os.environ.get("CUBEPROXY_CORPORA", "")
    return Path(folder) if folder else None


def test_three_thousand_bad_inputs_cost_nothing_that_stays(siege: Siege) -> None:
    barrage = Barrage(siege, found())
    mark = siege.mark()
    with siege.calm():
        barrage.fire(1_500)
        before = siege.rss()
        barrage.fire(1_500)
        quiet(siege)
        after = siege.rss()
    barrage.close()
    assert sum(barrage.sent.values()) == 3_000
    assert after[0] - before[0] < 5_000
    assert after[1] - before[1] < 500
    assert len(mark.events()) < 700
    assert not [event for event in mark.events() if event["severity"] == "ERROR"]
    assert {answer // 100 for answer in barrage.got} <= {0, 1, 2, 4, 5}


@pytest.mark.soak
def test_a_hundred_thousand_bad_inputs_leave_memory_flat(siege: Siege, root: Path) -> None:
    barrage = Barrage(siege, found(), seed=2)
    mark = siege.mark()
    samples = [Sample("at first", *siege.rss())]
    seconds = 0.0
    with siege.calm():
        sent, heard = siege.call.voice.counters.sent, siege.far.voice.counters.received
        for count in ROUNDS:
            began = time.monotonic()
            barrage.fire(count)
            quiet(siege)
            seconds += time.monotonic() - began
            samples.append(Sample(f"after {barrage.total}", *siege.rss()))
            time.sleep(REST)
            samples.append(Sample(f"after {barrage.total} and {REST:.0f} s of rest", *siege.rss()))
        speech = siege.call.voice.counters.sent - sent, siege.far.voice.counters.received - heard
    barrage.close()
    events = mark.events()
    _report(root, barrage, samples, seconds, speech, events)
    first, *later = samples[2::2]
    assert max(sample.signalling for sample in later) - first.signalling < GROWTH
    assert max(sample.worker for sample in later) - first.worker < GROWTH
    assert not [event for event in events if event["severity"] == "ERROR"]


def _report(
    root: Path,
    barrage: Barrage,
    samples: list[Sample],
    seconds: float,
    speech: tuple[int, int],
    events: list[dict[str, object]],
) -> None:
    names = Counter(str(event["event"]) for event in events)
    how = (
        f"Written by `tests/behaviour/test_bad_input.py` (`make soak`) on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores, {seconds:.0f} s ({TOTAL / seconds:.0f} inputs/s; attacker, cluster and phones shared "
        "the machine). The seed is fixed: the inputs are the same in every run."
    )
    call = (
        f"The call in progress: {speech[0]} packets said by the phone meanwhile, {speech[1]} heard at the cluster. "
        "What was on its way at the moment of counting is the difference; afterwards the test stops both voices and "
        "demands that both directions are equal to the packet."
    )
    inputs = [f"| {name} | {count} |" for name, count in barrage.sent.items()]
    memory = [f"| {sample.when} | {sample.signalling} | {sample.worker} |" for sample in samples]
    parts = [
        "# 100,000 bad inputs against a running proxy with a call in progress",
        how,
        "\n".join(["| input | count |", "|--|--|", *inputs]),
        "Resident memory (kB) of the two processes:",
        "\n".join(["| inputs | signalling | media worker |", "|--|--|--|", *memory]),
        call,
        f"Answers by status (0: a request to us): {dict(sorted(barrage.got.items()))}",
        f"Lines for the operator: {len(events)}, by event: {dict(sorted(names.items()))}",
        "Not measured here: bad input over more than one interface, or for longer than this.",
    ]
    folder = root / "perf" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bad-input.md").write_text("\n\n".join(parts) + "\n")
