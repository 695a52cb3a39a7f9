"""`cubeproxy rtpengine`: take an rtpengine out of service, or back, in a running proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.cli.common import tell

app = typer.Typer(name="rtpengine", help="rtpengines of a running proxy.", no_args_is_help=True)

ENGINE = Annotated[str, typer.Argument(metavar="HOST:PORT", help="As `show rtpengine` lists it.")]
CONTROL = Annotated[Path, typer.Option(envvar="CUBEPROXY_CONTROL", help="Control socket of the running proxy.")]


@app.command("drain")
def drain(engine: ENGINE, control: CONTROL) -> None:
    """Give it no new sessions; those in progress go on. `show rtpengine` says when none is left."""
    tell(control, f"do rtpengine drain {engine}")


@app.command("resume")
def resume(engine: ENGINE, control: CONTROL) -> None:
    """Back in service."""
    tell(control, f"do rtpengine resume {engine}")
