"""What several commands share: reading a configuration, and saying what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from cubeproxy.config.mapping import parse_map
from cubeproxy.config.model import Config
from cubeproxy.protocols.errors import ConfigError, CubeError
from cubeproxy.server.run import load


def fail(error: Exception | str, code: int = 1) -> NoReturn:
    """One line about the error, one about the fix, and out."""
    typer.echo(f"cubeproxy: {error}", err=True)
    fix = getattr(error, "fix", "")
    if fix:
        typer.echo(f"  fix: {fix}", err=True)
    raise typer.Exit(code)


def read_config(path: Path, maps: Sequence[str]) -> Config:
    """A configuration file (`-` is standard input), mapped. Ends the program where it cannot be obeyed."""
    try:
        mapping = parse_map(maps)
    except ConfigError as error:
        typer.echo(f"cubeproxy: --map: {error}", err=True)
        if error.fix:
            typer.echo(f"  fix: {error.fix}", err=True)
        raise typer.Exit(2) from None
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8", "replace")
        return load(text, mapping)
    except OSError as error:
        fail(f"{path}: {error.strerror}", 2)
    except ConfigError as error:
        typer.echo(f"cubeproxy: {path}: {error}", err=True)
        if error.fix:
            typer.echo(f"  fix: {error.fix}", err=True)
        raise typer.Exit(2) from None
    except CubeError as error:
        fail(error, 2)
