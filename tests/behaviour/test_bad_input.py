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

WARM_UP = 60_000  # inputs until what lives for 64 * T1 (32 s), and the tables of bounded size, are at their level
TOTAL = 100_000  # after that
STEP = 20_000
RATE = 800.0  # inputs a second
GROWTH = 4_000  # kB over those: 40 octets an input would fail


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
    samples = [Sample("before", *siege.rss())]
    with siege.calm():
        sent, heard = siege.call.voice.counters.sent, siege.far.voice.counters.received
        began = time.monotonic()
        for _ in range((WARM_UP + TOTAL) // STEP):
            barrage.fire(STEP, RATE)
            samples.append(Sample(f"{barrage.total}", *siege.rss()))
        seconds = time.monotonic() - began
        quiet(siege)
        speech = siege.call.voice.counters.sent - sent, siege.far.voice.counters.received - heard
    barrage.close()
    events = mark.events()
    _report(root, barrage, samples, seconds, speech, events)
    level, *later = samples[WARM_UP // STEP :]
    assert max(sample.signalling for sample in later) - level.signalling < GROWTH
    assert max(sample.worker for sample in later) - level.worker < GROWTH
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
        f"{os.cpu_count()} cores, {seconds:.0f} s; attacker, cluster and phones shared the machine. The seed is fixed: "
        f"the inputs are the same in every run. The first {WARM_UP} bring transactions (which live for 64 * T1) and "
        f"tables of bounded size to their level, {TOTAL} more must leave it there."
    )
    call = (
        f"The call in progress: {speech[0]} packets said by the phone meanwhile, {speech[1]} heard at the cluster. "
        "What was on its way at the moment of counting is the difference; afterwards the test stops both voices and "
        "demands that both directions are equal to the packet."
    )
    inputs = [f"| {name} | {count} |" for name, count in barrage.sent.items()]
    memory = [f"| {sample.when} | {sample.signalling} | {sample.worker} |" for sample in samples]
    parts = [
        "# Bad input: 100,000 against a running proxy with a call in progress",
        how,
        "\n".join(["| input | count |", "|--|--|", *inputs]),
        "Resident memory (kB) of the two processes after so many inputs:",
        "\n".join(["| inputs | signalling | media worker |", "|--|--|--|", *memory]),
        call,
        f"Answers by status (0: a request to us): {dict(sorted(barrage.got.items()))}",
        f"Lines for the operator: {len(events)}, by event: {dict(sorted(names.items()))}",
        "Not measured here: bad input over more than one interface, or for longer than this.",
    ]
    folder = root / "perf" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bad-input.md").write_text("\n\n".join(parts) + "\n")
