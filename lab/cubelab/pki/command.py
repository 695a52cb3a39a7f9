"""`cubelab pki ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cubelab.pki.lab import CUBE, DEVICES, init_lab

app = typer.Typer(help="Certificates for a lab.", no_args_is_help=True)


@app.callback()
def pki() -> None:
    """Certificates for a lab."""


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write: the folder for `cubeproxy run --nvram`.")],
    device: Annotated[list[str] | None, typer.Option(help="Device name of a phone, repeatable.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="Address of the proxy for its certificate.")] = None,
) -> None:
    """Make keys and certificates for proxy, cluster and phones, and some that must be refused."""
    lab = init_lab(folder, devices=device or DEVICES, cube=[*CUBE, *(address or ())])
    typer.echo(f"{folder}: {len(lab.phones)} phones, {len(lab.cucm)} cluster nodes, {len(lab.bad)} bad certificates")
    typer.echo(f"start the proxy with --nvram {folder}")
