"""`cubeload`: load and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cubeload.measure import Load, measure_calls, sippy_system
from cubeload.results import record, show

app = typer.Typer(help="Load and benchmarks for cubeproxy and its marks.", no_args_is_help=True)

METHOD = (
    "Open-model load from one process on core 0; the system under test is alone on core 1. CPU is user and system time "
    "of its whole process tree between the first measured call and half a second after the last, over the calls that "
    "ended clean. A warm-up of 2 s at the same rate is not counted. No media packets flow."
)

Rate = Annotated[float, typer.Option(help="Calls a second.")]
Seconds = Annotated[float, typer.Option(help="How long, in seconds.")]
Hold = Annotated[float, typer.Option(help="How long each call is held, in seconds.")]
Out = Annotated[Path | None, typer.Option(help="Where to record the result as JSON.")]


@app.callback()
def cubeload() -> None:
    """Everything stays on loopback addresses and is bounded in time."""


@app.command("sippy")
def sippy(rate: Rate = 100, seconds: Seconds = 10, hold: Hold = 1, out: Out = None) -> None:
    """The Python mark: calls through sippy's B2BUA, UDP to UDP."""
    with sippy_system() as system:
        result = measure_calls(system, Load(rate, seconds, hold)).row()
    show("calls", [result])
    if out:
        record(out, "calls", METHOD, [result])


def main() -> None:
    app()


if __name__ == "__main__":
    main()
