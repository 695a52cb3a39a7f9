"""`cubeload`: load and benchmarks. Everything stays on loopback addresses and is bounded in time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cubeload.footprint import measure_footprint
from cubeload.growth import measure_growth
from cubeload.measure import Load, System, measure_calls, sippy_system
from cubeload.product import cubeproxy_system
from cubeload.results import record, show

app = typer.Typer(help="Load and benchmarks for cubeproxy and its marks.", no_args_is_help=True)

RESULTS = Path("perf/results")
CALLS = (
    "Open-model load from one process; the system under test is pinned to core 1 with all its processes. CPU is their "
    "user and system time between the first measured call and half a second after the last, over the calls that ended "
    "clean (INVITE, 180, 200, ACK, held, BYE, 200). A warm-up of 2 s at the same rate is not counted. Systems take "
    "turns within one run. No media packets flow; cubeproxy sets up media for each call, sippy has none to set up. "
    "Not measured: loss, retransmission, and rates above those named."
)
FOOTPRINT = (
    "Phones connect one after the other over mutual TLS (RSA-2048, no resumption) and register; CPU and resident "
    "memory are those of the whole process tree, media worker included. A half-open connection is a TCP connection "
    "that never sends an octet, read within its first-octet time, without the kernel's own memory for it. One warm-up "
    "phone is not counted. Not measured: parallel handshakes, and memory after days."
)

GROWTH = (
    "Calls at a steady rate, held for 0.2 s. Resident memory of the process tree is read before the first and, after "
    "each fifth of the calls, 35 s later, when the last transactions are over too."
)

Rate = Annotated[float, typer.Option(help="Calls a second.")]
Seconds = Annotated[float, typer.Option(help="How long, in seconds.")]
Hold = Annotated[float, typer.Option(help="How long each call is held, in seconds.")]
Rounds = Annotated[int, typer.Option(help="Turns of each system.")]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]
Phones = Annotated[int, typer.Option(help="Phones, each with a connection of its own.")]

SYSTEMS: dict[str, Callable[[], contextlib.AbstractContextManager[System]]] = {
    "sippy": sippy_system,
    "cubeproxy": cubeproxy_system,
}


@app.callback()
def cubeload() -> None:
    """Load and benchmarks."""


@app.command("calls")
def calls(rate: Rate = 300, seconds: Seconds = 10, hold: Hold = 1, rounds: Rounds = 3, out: Out = RESULTS) -> None:
    """Calls per second and CPU per call, side by side with sippy, the Python mark."""
    rows = []
    for turn in range(rounds):
        for name, system in SYSTEMS.items():
            with system() as running:
                rows.append({**measure_calls(running, Load(rate, seconds, hold)).row(), "round": turn + 1})
            typer.echo(f"round {turn + 1}: {name} {rows[-1]['cpu_ms_per_call']} ms a call", err=True)
    show(f"calls at {rate:g}/s", rows)
    record(out / f"calls-{rate:g}.json", "calls", CALLS, rows)


@app.command("footprint")
def footprint(phones: Phones = 500, out: Out = RESULTS) -> None:
    """Memory of phones and of silent connections, CPU of handshakes and registrations."""
    with cubeproxy_system(phones) as system:
        row = measure_footprint(system).row()
    show("footprint", [row])
    record(out / "footprint.json", "footprint", FOOTPRINT, [row])


@app.command("growth")
def growth(
    calls: Annotated[int, typer.Option(help="Calls in all.")] = 50_000, rate: Rate = 300, out: Out = RESULTS
) -> None:
    """Memory over many calls that are over."""
    with cubeproxy_system() as system:
        rows = [mark.row() for mark in measure_growth(system, rate, calls)]
    show("growth", rows)
    record(out / "growth.json", "growth", GROWTH, rows)


@app.command("bench")
def bench(out: Out = RESULTS) -> None:
    """All of it, as recorded under perf/results."""
    calls(out=out)
    footprint(out=out)
    growth(out=out)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
