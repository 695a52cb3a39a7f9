"""`cubelab eavesdrop`: turn a capture into sound, if it can be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from scapy.error import Scapy_Exception

from cubelab.audio.tones import PALETTE
from cubelab.eavesdropper.eavesdropper import eavesdrop


def command(
    capture: Annotated[Path, typer.Argument(help="A pcap file.", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for the wave files.")] = None,
    tone: Annotated[list[int] | None, typer.Option(help="Hz of a tone to listen for, repeatable.")] = None,
) -> None:
    """Decode every RTP stream of a capture as clear G.711 and say which tones can be heard. Exit 1: none."""
    if out:
        out.mkdir(parents=True, exist_ok=True)
    try:
        findings = eavesdrop(capture, out, tone or PALETTE)
    except Scapy_Exception as error:
        raise typer.BadParameter(f"{capture}: {error}") from None
    typer.echo(f"{findings.datagrams} datagrams, {len(findings.overheard)} RTP streams")
    for one in findings.overheard:
        typer.echo(f"{'heard' if one.understood else 'noise'}: {one.stream}: {one.hearing}")
    raise typer.Exit(0 if findings.understood else 1)
