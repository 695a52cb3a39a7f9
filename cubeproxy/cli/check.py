"""`cubeproxy check`: what a configuration would do, before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.border.interworking import ANY, CARRIES, FIRST_OFFER, INTERWORKING, Codecs
from cubeproxy.border.plan import Plan
from cubeproxy.cli.common import read_config
from cubeproxy.cli.run import MAP_HELP, NVRAM_HELP, RTPENGINE, RTPENGINE_HELP
from cubeproxy.config.model import Config
from cubeproxy.config.near import nearest
from cubeproxy.config.references import check_references
from cubeproxy.media.codecs.profiles import told, unusable_in
from cubeproxy.media.transcoders.ng_engine import EngineSettings, exposed
from cubeproxy.pki.store import Store
from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import ConfigError, CubeError
from cubeproxy.protocols.values import Event, Severity
from cubeproxy.server.ng import local_address


def command(
    config: Annotated[Path, typer.Argument(help="Running configuration of the router, `-` for standard input.")],
    nvram: Annotated[Path | None, typer.Option(envvar="CUBEPROXY_NVRAM", help=NVRAM_HELP)] = None,
    maps: Annotated[list[str] | None, typer.Option("--map", metavar="OLD=NEW", help=MAP_HELP)] = None,
    rtpengine: Annotated[
        list[str] | None, typer.Option(envvar="CUBEPROXY_RTPENGINE", metavar=RTPENGINE, help=RTPENGINE_HELP)
    ] = None,
) -> None:
    """Read a configuration and say what was understood, what is missing and what was passed over."""
    model = read_config(config, maps or [])
    store = Store(nvram, model.trustpoints)
    findings = [*store.events, *check_references(model), *_own_certificates(model, store)]
    try:
        plan = Plan(model)
        for line in (*_faces(plan), *_interworking(plan)):
            typer.echo(line)
        findings += _silence(plan)
        findings += _engines(rtpengine or [])
        findings += told(unusable_in(model))
    except CubeError as error:
        findings.append(_finding("config.impossible", Severity.ERROR, error))
    for event in findings:
        typer.echo(f"{event.severity.name.lower():<8} {event.text}")
        if event.fix:
            typer.echo(f"         fix: {event.fix}")
    for number, line in model.ignored:
        likely = nearest(line)
        typer.echo(f"passed   line {number}: {line}" + (f"   <- is `{likely}` meant?" if likely else ""))
    found = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
    typer.echo(f"{found}, {len(model.ignored)} lines passed over, personality {model.personality.value}")
    if any(event.severity <= Severity.ERROR for event in findings):
        raise typer.Exit(1)


def _engines(texts: list[str]) -> Iterator[Event]:
    """What the rtpengines of a run would be told in the clear. ConfigError."""
    engines = [EngineSettings.parse(text) for text in texts]
    inside = local_address(engines)
    return (found for engine in engines if (found := exposed(engine, inside)) is not None)


def _faces(plan: Plan) -> Iterator[str]:
    for listener in plan.listeners:
        yield f"listens  {listener.side.value:<7} {listener.transport.value} {format_address(listener.address)}"
    for peer in plan.peers.values():
        nodes = ", ".join(format_address((node.target.host, node.target.port)) for node in peer.nodes)
        way = f"{peer.config.description} -> {nodes or peer.config.target}"
        yield f"peer     {peer.side.value:<7} {peer.tag} {way}, srtp {peer.policy.value}"


def _interworking(plan: Plan) -> Iterator[str]:
    """What stands between the faces, and why: a line for each pair of media that the dial peers make, and one where a
    suite of theirs cannot be had then."""
    pairs = {
        (FIRST_OFFER[access.policy], FIRST_OFFER[core.policy]): None for access in plan.access for core in plan.core
    }
    for one, other in pairs:
        row = INTERWORKING.get((one, other, Codecs.SAME, plan.personality))
        need, reason = row or (None, "refused, pass-thru takes both dial peers")
        yield f"media    {one.value} to {other.value}: {reason}"
        keys = CARRIES[need, plan.farms] if need is not None else ANY
        lacking = {suite.value for peer in plan.peers.values() for suite in peer.suites if suite not in keys.suites}
        if lacking:
            yield f"keys     {', '.join(sorted(lacking))} left out: {keys.why}"


def _own_certificates(model: Config, store: Store) -> Iterator[Event]:
    """What `run` would not start without. Without --nvram it may still be there: a warning."""
    severity = Severity.WARNING if store.folder is None else Severity.ERROR
    for name in dict.fromkeys(entry.trustpoint for entry in model.sip_ua.crypto_signaling):
        if name in model.trustpoints:
            try:
                store.own(name)
            except CubeError as error:
                yield _finding("trustpoint.incomplete", severity, error)


def _silence(plan: Plan) -> Iterator[Event]:
    if not plan.peers:
        error = ConfigError("no dial peer for SIP was found", fix="paste the whole output of `show running-config`")
        yield _finding("config.empty", Severity.ERROR, error)


def _finding(name: str, severity: Severity, error: CubeError) -> Event:
    return Event(name, severity, str(error), fix=getattr(error, "fix", ""))
