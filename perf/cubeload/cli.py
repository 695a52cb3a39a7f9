"""`cubeload`: load and benchmarks. Everything stays on loopback addresses and is bounded in time."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cubeload.bench import measure
from cubeload.media.command import command as media
from cubeload.parts import PARTS
from cubeload.plots import draw
from cubeload.progress import Progress
from cubeload.results import record
from cubeload.sizes import long, short

app = typer.Typer(help="Load and benchmarks for cubeproxy and its marks.", no_args_is_help=True)

EPILOG = "\n\n".join(f"{name}: {(part.__doc__ or '').strip()}" for name, part in PARTS.items())


@app.callback()
def cubeload() -> None:
    """Load and benchmarks. A load runs on loopback addresses against programs that are started for it."""


@app.command("bench", epilog=EPILOG)
def bench(
    only: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="This part only (repeatable); the parts are named below.")
    ] = None,
    full: Annotated[bool, typer.Option("--long", help="All of it at full size, 50,000 calls: a quarter hour.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for bench.md, bench.json and plots.")] = Path("out/bench"),
) -> None:
    """Measure cubeproxy beside sippy, and write down how.

    The generator keeps to one core, what is measured to another; close other programs first. Each figure comes with
    its method and with what was not measured. A goal that is missed is a result; the exit code is 1 when a result
    cannot be believed: calls failed, counts disagree, a part broke off.

    `cubeload bench --only calls`: CPU per call at 300 calls/s, sippy and cubeproxy in turn (1.5 minutes).

    `cubeload bench --long --out perf/results`: what is committed, again.
    """
    names = only or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise typer.BadParameter(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    progress = Progress(len(names))
    with tempfile.TemporaryDirectory(prefix="cubeload-") as folder:
        sections = measure(names, long() if full else short(), Path(folder), progress)
    for section in sections:
        draw(section, out)
    _, text = record(out, sections, " ".join(["cubeload", *sys.argv[1:]]))
    progress.console.print(f"written to {text}", highlight=False)
    if any(section.faults for section in sections):
        raise typer.Exit(1)


app.command("media")(media)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
