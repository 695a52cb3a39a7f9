"""`cubelab boot`: a virtual phone from power-on to registration, every step explained."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from cubelab.phone.boot import BootFailed, BootSettings
from cubelab.phone.diary import Diary, Line
from cubelab.phone.download import Downloader
from cubelab.phone.flash import Flash
from cubelab.phone.phone import RegistrationFailed
from cubelab.phone.powered import PoweredPhone
from cubelab.pki.lab import lab_at
from cubelab.provisioning import http, tftp
from cubelab.provisioning.models import MODELS
from cubelab.voice.pacer import Pacer


def command(
    device: Annotated[str, typer.Argument(help="Device name, SEP and the MAC.")],
    server: Annotated[str, typer.Option(help="Address of the file server: all that the phone is told.")],
    flash: Annotated[Path, typer.Option(help="Folder of what it keeps: trust lists, configuration, LSC.")],
    model: Annotated[str, typer.Option(help=f"One of {', '.join(MODELS)}.")] = "8841",
    host: Annotated[str, typer.Option(help="The phone's own address.")] = "127.0.30.1",
    pki: Annotated[Path | None, typer.Option(help="Folder made by `cubelab pki init`: the phone's MIC.")] = None,
    string: Annotated[str, typer.Option(envvar="CUBELAB_STRING", help="Authentication string for CAPF.")] = "",
    tftp_port: Annotated[int, typer.Option(min=1, max=65535)] = tftp.PORT,
    http_port: Annotated[int, typer.Option(min=1, max=65535)] = http.PORT,
    delete_itl: Annotated[bool, typer.Option("--delete-itl", help="Delete the trust lists first.")] = False,
    factory_reset: Annotated[bool, typer.Option("--factory-reset", help="Delete all but the MIC first.")] = False,
    refuse_older: Annotated[bool, typer.Option("--refuse-older", help="Refuse lists older than the one held.")] = False,
    register: Annotated[bool, typer.Option(help="Register with what the boot has found.")] = True,
    stay: Annotated[bool, typer.Option("--stay", help="Stay registered and obey resets until Ctrl-C.")] = False,
) -> None:
    """Boot a virtual phone: trust lists, configuration, CAPF, registration; each line says what it trusts and why."""
    if model not in MODELS:
        raise typer.BadParameter(f"{model} is none of {', '.join(MODELS)}", param_hint="--model")
    kept = Flash(flash, lab_at(pki).mics.get(device) if pki else None)
    if factory_reset:
        kept.factory_reset()
    elif delete_itl:
        kept.delete_trust()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        settings = BootSettings(device, MODELS[model], string, refuse_older)
        code = runner.run(_boot(settings, kept, (host, server, tftp_port, http_port), register, stay))
    raise typer.Exit(code)


async def _boot(
    settings: BootSettings, flash: Flash, where: tuple[str, str, int, int], register: bool, stay: bool
) -> int:
    host, server, tftp_port, http_port = where
    downloader = Downloader(settings.model, host, server, tftp_port=tftp_port, http_port=http_port)
    phone = PoweredPhone(settings, flash, downloader, Pacer(), diary=Diary(on_line=_tell))
    try:
        if not register:
            await phone.boot()
            return 0
        await phone.power_on()
        if stay:
            await _stay(phone)
        if phone.phone is not None and phone.phone.registration is not None:
            await phone.phone.unregister()
    except (BootFailed, RegistrationFailed) as error:
        typer.echo(f"not registered: {error}", err=True)
        return 1
    finally:
        await phone.power_off()
    return 0


async def _stay(phone: PoweredPhone) -> None:
    """Obey one reset after the other until a signal comes."""
    obeying = asyncio.create_task(_obey(phone), name="resets")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, obeying.cancel)
    await asyncio.wait({obeying})
    if not obeying.cancelled():
        obeying.result()


async def _obey(phone: PoweredPhone) -> None:
    while True:
        await phone.obey()


def _tell(line: Line) -> None:
    typer.echo(str(line))
