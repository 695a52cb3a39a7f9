"""`cubelab cucm`: a virtual CUCM cluster."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from cubelab.cli.parts import read_pairs, read_source
from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.cucm.registrar import Binding
from cubelab.voice.negotiation import PLAIN, SECURE
from cubelab.voice.pacer import Pacer


def command(
    user: Annotated[list[str], typer.Option(help="NUMBER=PASSWORD of a phone, repeatable.")],
    node: Annotated[list[str] | None, typer.Option(help="Address of a node, repeatable.")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="NUMBER=TONE: a number of the cluster that answers and says a tone in Hz.")
    ] = None,
    pki: Annotated[
        Path | None, typer.Option(help="Folder made by `cubelab pki init`: mixed mode, TLS on 5061.")
    ] = None,
    srtp: Annotated[bool, typer.Option("--srtp", help="The cluster's own endpoints want SRTP.")] = False,
    digest: Annotated[bool, typer.Option(help="Ask phones for their password.")] = True,
    reuse: Annotated[bool, typer.Option("--direct", help="Phones register here without a proxy.")] = False,
    reject: Annotated[int, typer.Option(help="Answer everything with this status.")] = 0,
) -> None:
    """A virtual CUCM: registrar with digest, routing between registered numbers, endpoints that speak a tone."""
    nodes = tuple(node or ["127.0.20.11"])
    settings = CucmSettings(
        nodes=nodes,
        users=read_pairs(user),
        endpoints={number: read_source(tone) for number, tone in read_pairs(endpoint or []).items()},
        voice=SECURE if srtp else PLAIN,
        identities=_identities(nodes, pki) if pki else {},
        trust=(pki / "cucm" / "trust",) if pki else (),
        challenge=digest,
        reuse=reuse,
        reject=reject,
        record=False,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


def _identities(nodes: tuple[str, ...], pki: Path) -> dict[str, tuple[Path, Path]]:
    """The publisher's certificate for the first node, the subscribers' for the others."""
    folders = sorted((pki / "cucm").glob("*/cert.pem"))  # pub stands before sub
    return {node: (cert, cert.with_name("key.pem")) for node, cert in zip(nodes, folders, strict=False)}


async def _serve(settings: CucmSettings) -> None:
    cucm = VirtualCucm(settings, Pacer())
    cucm.registrar.on_change = _tell
    await cucm.start()
    typer.echo(f"nodes {', '.join(settings.nodes)}: {len(settings.users)} numbers")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    typer.echo(f"{cucm.registrar.accepted} registrations, {cucm.bridges} calls, {cucm.keepalives} keepalives")
    await cucm.close()


def _tell(number: str, binding: Binding | None) -> None:
    if binding is None:
        typer.echo(f"{number} unregistered")
    else:
        typer.echo(f"{number} registered: {binding.device} at {binding.contact.uri}")
