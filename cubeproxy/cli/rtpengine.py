"""`cubeproxy rtpengine`: take an rtpengine out of service, or back, in a running proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.cli.common import fail
from cubeproxy.server.control import ask

app = typer.Typer(name="rtpengine", help="rtpengines of a running proxy.", no_args_is_help=True)

ENGINE = Annotated[str, typer.Argument(metavar="HOST:PORT", help="As `show rtpengine` lists it.")]
CONTROL = Annotated[Path, typer.Option(envvar="CUBEPROXY_CONTROL", help="Control socket of the running proxy.")]


@app.command("drain")
def drain(engine: ENGINE, control: CONTROL) -> None:
    """Give it no new sessions; those in progress go on. `show rtpengine` says when none is left."""
    _order(control, "drain", engine)


@app.command("resume")
def resume(engine: ENGINE, control: CONTROL) -> None:
    """Back in service."""
    _order(control, "resume", engine)


def _order(control: Path, verb: str, engine: str) -> None:
    try:
        answer = ask(control, f"do rtpengine {verb} {engine}")
    except (OSError, TimeoutError) as error:
        fail(f"no proxy answers on {control}: {error}")
    typer.echo(answer, nl=False)
    if answer.startswith("%"):
        raise typer.Exit(1)
