"""The `cubeproxy` command. A file a subject; other packages add commands by the entry point `cubeproxy.commands`."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from cubeproxy.cli import check, ctl, dsp, pki, rtpengine, run, show

app = typer.Typer(
    name="cubeproxy",
    help="A software Cisco CUBE line side: phones outside over TLS and SRTP, a CUCM cluster inside.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("run")(run.command)
app.command("show")(show.command)
app.command("check")(check.command)
app.add_typer(dsp.app)
app.add_typer(rtpengine.app)
app.add_typer(pki.app, name="pki")
app.add_typer(ctl.app, name="ctl")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cubeproxy {version('cubeproxy')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which release.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Commands of other packages are loaded when they are asked for, or when the whole list is."""
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    for entry in entry_points(group="cubeproxy.commands"):
        if asked in ("", entry.name):
            try:
                app.command(entry.name)(entry.load())
            except ImportError as error:
                typer.echo(f"cubeproxy: the command {entry.name} cannot be loaded: {error}", err=True)
    app()


if __name__ == "__main__":
    main()
