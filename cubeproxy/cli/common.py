"""What several commands share: reading a configuration, talking to a running proxy, and saying what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from cubeproxy.config.mapping import parse_map
from cubeproxy.config.model import Config
from cubeproxy.protocols.errors import ConfigError, CubeError
from cubeproxy.server.control import ask
from cubeproxy.server.run import load


def fail(error: Exception | str, code: int = 1, *, where: str = "") -> NoReturn:
    """One line about the error, one about the fix, and out."""
    typer.echo(f"cubeproxy: {where}: {error}" if where else f"cubeproxy: {error}", err=True)
    fix = getattr(error, "fix", "")
    if fix:
        typer.echo(f"  fix: {fix}", err=True)
    raise typer.Exit(code)


def read_config(path: Path, maps: Sequence[str]) -> Config:
    """A configuration file (`-` is standard input), mapped. Ends the program where it cannot be obeyed."""
    try:
        mapping = parse_map(maps)
    except ConfigError as error:
        fail(error, 2, where="--map")
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8", "replace")
        return load(text, mapping)
    except OSError as error:
        fail(str(error.strerror), 2, where=str(path))
    except ConfigError as error:
        fail(error, 2, where=str(path))
    except CubeError as error:
        fail(error, 2)


def tell(control: Path, line: str) -> None:
    """Send a line to a running proxy and print its answer; out with 1 when there is none, or when it objects."""
    try:
        answer = ask(control, line)
    except (OSError, TimeoutError) as error:
        fail(f"no proxy answers on {control}: {error}")
    typer.echo(answer, nl=False)
    if answer.startswith("%"):
        raise typer.Exit(1)
