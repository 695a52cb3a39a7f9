"""`cubelab pki ...`."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from cubelab.pki.authority import authority_at
from cubelab.pki.lab import CUBE, DEVICES, init_lab
from cubelab.pki.scep_server import PASSWORD_PATH, ScepServer

app = typer.Typer(help="Certificates for a lab.", no_args_is_help=True)


@app.callback()
def pki() -> None:
    """Certificates for a lab."""


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write: the folder for `cubeproxy run --nvram`.")],
    device: Annotated[list[str] | None, typer.Option(help="Device name of a phone, repeatable.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="Address of the proxy for its certificate.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the keys of a folder that has some.")] = False,
) -> None:
    """Make keys and certificates for proxy, cluster and phones, and some that must be refused."""
    there = [name for name in ("CUBE_SS", "cucm", "phones") if (folder / name).exists()]
    if there and not force:
        typer.echo(f"cubelab: {folder} holds {', '.join(there)} already\n  fix: another folder, or --force", err=True)
        raise typer.Exit(1)
    for text in address or ():
        try:
            ip_address(text)
        except ValueError:
            raise typer.BadParameter(f"--address {text!r} is no address") from None
    lab = init_lab(folder, devices=device or DEVICES, cube=[*CUBE, *(address or ())])
    typer.echo(f"{folder}: {len(lab.phones)} phones, {len(lab.cucm)} cluster nodes, {len(lab.bad)} bad certificates")
    typer.echo(f"start the proxy with --nvram {folder}")


@app.command("scep")
def scep(
    folder: Annotated[Path, typer.Argument(help="The lab's folder; the authority is made there the first time.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.20.30",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8088,
    pending: Annotated[bool, typer.Option("--pending", help="Requests wait for SIGUSR1, which approves them.")] = False,
) -> None:
    """Be a company's authority that answers SCEP as NDES does, until it is interrupted."""
    authority = authority_at(folder)
    authority.pending = pending
    server = ScepServer(authority)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: authority.approve(datetime.now(UTC)))
        url = await server.start(host, port)
        typer.echo(f"enrollment url {url}")
        typer.echo(f"challenge passwords, each good once: curl {url.partition('/certsrv')[0]}{PASSWORD_PATH}")
        await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        pass
    except OSError as error:
        typer.echo(f"cubelab: cannot listen on {host}:{port}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
