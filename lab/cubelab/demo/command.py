"""`cubeproxy demo` and `cubelab demo`: the main job, proved on this machine without root."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cubelab.demo.claims import verdict
from cubelab.demo.farm_play import FarmPlay
from cubelab.demo.judge import judge
from cubelab.demo.observations import Observations
from cubelab.demo.options import Access, DemoOptions, Fault
from cubelab.demo.play import Play
from cubelab.demo.report import print_report, write_boot, write_report
from cubelab.demo.stage import Stage, two_scenes

STEPS = 8


def command(
    out: Annotated[Path, typer.Option(help="Where captures, recordings and report.json go.")] = Path("out/demo"),
    access: Annotated[
        Access, typer.Option(help="clear: the phones announce keys and send plain RTP all the same.")
    ] = Access.SRTP,
    fault: Annotated[
        Fault, typer.Option(help="Make a fault in the lab; the proxy is started the same way.")
    ] = Fault.NONE,
    talk: Annotated[float, typer.Option(min=1.0, max=60.0, help="Seconds that the phones speak.")] = 2.5,
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration of the first run instead of the sample.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """The main job, proved: a phone boots, calls over a DSP farm, and nobody understands it; IOS XE needs no farm.

    Exit 1 when a claim does not hold.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"--out {out}: {error.strerror}") from None
    options = DemoOptions(out.resolve(), access, fault, talk, config=config.resolve() if config else None)
    raise typer.Exit(perform(options, Console()))


def perform(options: DemoOptions, console: Console) -> int:
    """Run the demo and print what it has shown; the exit code."""
    began = time.monotonic()
    for old in [
        file for kind in ("*.pcap", "*.wav", "report.json", "boot.log", "farm.log") for file in options.out.glob(kind)
    ]:
        old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="cubeproxy-") as scratch:
        seen, typed = _watch(options, Path(scratch), console)
    claims = judge(seen)
    print_report(console, seen, claims, options)
    write_boot(options.out / "boot.log", seen)
    write_report(options.out / "report.json", claims, options, typed, time.monotonic() - began)
    return verdict(claims)


def _watch(options: DemoOptions, scratch: Path, console: Console) -> tuple[Observations, str]:
    """Run it under a progress display. Also returns the proxy's command line."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task("making certificates", total=STEPS)

        def step(title: str) -> None:
            display.update(task, description=title, advance=1)
            if not console.is_terminal:
                console.print(f"- {title}", highlight=False)

        async def scenes() -> tuple[Observations, str]:
            ios, xe = (Stage(options, scene) for scene in two_scenes(options, scratch))
            try:
                seen, software = await asyncio.gather(FarmPlay(ios, step).run(), Play(xe, silent).run())
                seen.software = software
                return seen, ios.proxy.command
            finally:
                for stage in (ios, xe):
                    await stage.proxy.stop()
                    await stage.strike()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(scenes())


def silent(_title: str) -> None:
    """The second run goes on beside the first, whose acts are shown."""
