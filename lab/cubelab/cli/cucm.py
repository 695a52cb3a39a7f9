"""`cubelab cucm`: a virtual CUCM cluster."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from cubelab.agent.agent import NoAnswer
from cubelab.cli.files import make_cluster, read_devices, read_pending
from cubelab.cli.parts import read_pairs, read_source
from cubelab.cluster.cluster import Cluster
from cubelab.cluster.lists import REFRESH
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
    reject: Annotated[int, typer.Option(min=0, max=699, help="Answer everything with this status; 0: do not.")] = 0,
    files: Annotated[
        Path | None, typer.Option(help="Folder made by `cubelab pki init`: files by TFTP and HTTP, CAPF, TVS.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="DEVICE=NUMBER[:MODEL]: a phone that may boot, repeatable.")
    ] = None,
    enrol: Annotated[
        list[str] | None, typer.Option(help="DEVICE=null|lsc|mic|string:TEXT: a pending LSC installation.")
    ] = None,
    tftp_port: Annotated[int, typer.Option(min=1, max=65535, help="Below 1024 takes root.")] = 69,
    legacy_tls: Annotated[bool, typer.Option("--legacy-tls", help="TLS 1.0 for CAPF and TVS: 7900 phones.")] = False,
    itl_defect: Annotated[
        bool, typer.Option("--itl-defect", help="CSCup28852: phones reset at every ITL refresh.")
    ] = False,
    itl_refresh: Annotated[float, typer.Option(min=1, help="Seconds between two ITL refreshes.")] = REFRESH,
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
    devices = read_devices(read_pairs(device or []), settings.users)
    pending = {name: read_pending(text) for name, text in read_pairs(enrol or []).items()}

    def cluster() -> Cluster | None:
        if files is None:
            return None
        made = make_cluster(
            nodes, files, devices, mixed=pki is not None, tftp_port=tftp_port, defect=itl_defect, legacy=legacy_tls
        )
        made.pending.update(pending)
        return made

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, cluster, itl_refresh))


def _identities(nodes: tuple[str, ...], pki: Path) -> dict[str, tuple[Path, Path]]:
    """The publisher's certificate for the first node, the subscribers' for the others."""
    folders = sorted((pki / "cucm").glob("*/cert.pem"))  # pub stands before sub
    return {node: (cert, cert.with_name("key.pem")) for node, cert in zip(nodes, folders, strict=False)}


async def _serve(settings: CucmSettings, make: Callable[[], Cluster | None], refresh: float) -> None:
    cucm, cluster = VirtualCucm(settings, Pacer()), make()
    cucm.registrar.on_change = _tell
    await cucm.start()
    if cluster is not None:
        await cluster.start()
    typer.echo(f"nodes {', '.join(settings.nodes)}: {len(settings.users)} numbers")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as work:
        watching = work.create_task(_watch(cluster, cucm, refresh), name="ITL refresh") if cluster else None
        await stopped.wait()
        if watching:
            watching.cancel()
    typer.echo(f"{cucm.registrar.accepted} registrations, {cucm.carried} calls, {cucm.keepalives} keepalives")
    await cucm.close()


async def _watch(cluster: Cluster, cucm: VirtualCucm, refresh: float) -> None:
    """Until cancelled: tell phones to reset when the ITL was made anew. The cluster's files end with it."""
    resets: set[asyncio.Task[None]] = set()

    def reset() -> None:
        for number in list(cucm.registrar.bindings):
            task = asyncio.create_task(_reset(cucm, number), name=f"reset {number}")
            resets.add(task)
            task.add_done_callback(resets.discard)

    cluster.on_reset = reset
    try:
        await cluster.watch(refresh)
    finally:
        for task in resets:
            task.cancel()
        await cluster.close()


async def _reset(cucm: VirtualCucm, number: str) -> None:
    try:
        typer.echo(f"{number} told to reset: {await cucm.control(number, 'reset')}")
    except (LookupError, NoAnswer) as error:
        typer.echo(f"{number} not told to reset: {error}")


def _tell(number: str, binding: Binding | None) -> None:
    if binding is None:
        typer.echo(f"{number} unregistered")
    else:
        typer.echo(f"{number} registered: {binding.device} at {binding.contact.uri}")
