"""`cubeproxy check`: what a configuration would do, before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.border.plan import Plan
from cubeproxy.cli.common import fail, read_config
from cubeproxy.cli.run import MAP_HELP, NVRAM_HELP
from cubeproxy.config.references import check_references
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import CubeError
from cubeproxy.protocols.values import Severity


def command(
    config: Annotated[Path, typer.Argument(help="Running configuration of the router, `-` for standard input.")],
    nvram: Annotated[Path | None, typer.Option(envvar="CUBEPROXY_NVRAM", help=NVRAM_HELP)] = None,
    maps: Annotated[list[str] | None, typer.Option("--map", metavar="OLD=NEW", help=MAP_HELP)] = None,
) -> None:
    """Read a configuration and say what was understood, what is missing and what was passed over."""
    model = read_config(config, maps or [])
    try:
        plan = Plan(model)
    except CubeError as error:
        fail(error)
    for listener in plan.listeners:
        typer.echo(
            f"listens  {listener.side.value:<7} {listener.transport.value} {listener.address[0]}:{listener.address[1]}"
        )
    for peer in plan.peers.values():
        nodes = ", ".join(f"{node.target.host}:{node.target.port}" for node in peer.nodes) or peer.config.target
        typer.echo(
            f"peer     {peer.side.value:<7} {peer.tag} {peer.config.description} -> {nodes}, srtp {peer.policy.value}"
        )
    findings = [*Store(nvram, model.trustpoints).events, *check_references(model)]
    for event in findings:
        typer.echo(f"{event.severity.name.lower():<8} {event.text}")
        if event.fix:
            typer.echo(f"         fix: {event.fix}")
    for number, line in model.ignored:
        typer.echo(f"passed   line {number}: {line}")
    typer.echo(
        f"{len(findings)} findings, {len(model.ignored)} lines passed over, personality {model.personality.value}"
    )
    if any(event.severity <= Severity.ERROR for event in findings):
        raise typer.Exit(1)
