"""`cubelab wire`: forward UDP between two addresses, well or badly, and capture what passes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from cubelab.capture.pcap import PcapWriter
from cubelab.cli.parts import read_address
from cubelab.wire.impairment import Impairment
from cubelab.wire.wire import Wire
from cubeproxy.protocols.values import Address

LINK_HELP = "PORT=INNER=OUTER: what INNER (host:port) sends to PORT goes to OUTER, anything else to INNER. Repeatable."


def command(
    link: Annotated[list[str], typer.Option(help=LINK_HELP)],
    host: Annotated[str, typer.Option(help="The wire's own address.")] = "127.0.40.1",
    pcap: Annotated[Path | None, typer.Option(help="Write what is forwarded here.")] = None,
    loss: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    duplicate: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    reorder: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    corrupt: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    delay: Annotated[float, typer.Option(min=0, help="ms")] = 0.0,
    jitter: Annotated[float, typer.Option(min=0, help="ms")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same weather.")] = 0,
) -> None:
    """A wire between media endpoints, without root."""
    impairment = Impairment(loss, duplicate, reorder, corrupt, delay / 1000, jitter / 1000, seed)
    links = [_read_link(text) for text in link]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(host, impairment, links, pcap))


def _read_link(text: str) -> tuple[int, Address, Address]:
    parts = text.split("=")
    if len(parts) != 3 or not parts[0].isdigit():
        raise typer.BadParameter(f"{text} is not PORT=INNER=OUTER")
    return int(parts[0]), read_address(parts[1]), read_address(parts[2])


async def _serve(
    host: str, impairment: Impairment, links: list[tuple[int, Address, Address]], pcap: Path | None
) -> None:
    wire = Wire(host, impairment)
    writer = PcapWriter(pcap) if pcap else None
    if writer:
        wire.taps.append(writer.write)
    for port, inner, outer in links:
        opened = await wire.link(inner, outer, port)
        typer.echo(f"{opened.address[0]}:{opened.address[1]} joins {inner[0]}:{inner[1]} and {outer[0]}:{outer[1]}")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    typer.echo(f"forwarded {wire.counters.forwarded}, lost {wire.counters.lost}")
    wire.close()
    if writer:
        writer.close()
