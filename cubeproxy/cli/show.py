"""`cubeproxy show ...`: the show commands of a running proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.cli.common import fail, tell
from cubeproxy.views.show import listing


def command(
    words: Annotated[list[str] | None, typer.Argument(help="Words of the command, as on the router.")] = None,
    control: Annotated[
        Path | None, typer.Option(envvar="CUBEPROXY_CONTROL", help="Control socket of the running proxy.")
    ] = None,
) -> None:
    """Ask a running proxy: cubeproxy show call active voice brief --control SOCKET. Without words: what there is."""
    line = " ".join(word for argument in words or [] for word in argument.split())
    if not line:
        typer.echo(listing(), nl=False)
        return
    if control is None:
        fail("which proxy? give --control SOCKET or CUBEPROXY_CONTROL", 2)
    tell(control, line)
