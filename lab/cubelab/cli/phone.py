"""`cubelab phone`: one virtual phone at a real or emulated proxy."""

from __future__ import annotations

import asyncio
import signal
from array import array
from collections.abc import Coroutine
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from cubelab.agent.requests import DEFAULT_PORT
from cubelab.agent.voice_call import CallFailed, VoiceCall, quiet
from cubelab.audio.tones import PALETTE, strongest
from cubelab.audio.wav import write_wav
from cubelab.cli.parts import read_address, read_source
from cubelab.phone.phone import RegistrationFailed, VirtualPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.voice.negotiation import PLAIN, SECURE
from cubelab.voice.pacer import Pacer
from cubeproxy.protocols.values import Transport


class Access(Enum):
    SRTP = "srtp"
    CLEAR = "clear"


def command(
    number: Annotated[str, typer.Argument(help="Its own number.")],
    proxy: Annotated[str, typer.Option(help="Whom it registers with, host or host:port.")],
    password: Annotated[str, typer.Option(envvar="CUBELAB_PASSWORD", help="Its digest password.")] = "",
    device: Annotated[str, typer.Option(help="Device name, SEP and the MAC.")] = "SEP001122334455",
    host: Annotated[str, typer.Option(help="The phone's own address.")] = "127.0.30.1",
    transport: Annotated[Transport, typer.Option(help="UDP, TCP or TLS.")] = Transport.TLS,
    pki: Annotated[Path | None, typer.Option(help="Folder made by `cubelab pki init`: LSC and trust.")] = None,
    trust: Annotated[
        Path | None, typer.Option(help="Certificate of the proxy, PEM; without it CUBE_SS of --pki.")
    ] = None,
    call: Annotated[str, typer.Option(help="Call this number; without it the phone waits and answers.")] = "",
    say: Annotated[str, typer.Option(help="Hz of a tone, or a wave file (8000 Hz, 16 bits).")] = "440",
    record: Annotated[Path | None, typer.Option(help="Write what the last call heard here.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Hang up after so long; 0 waits for the far end.")] = 5.0,
    access: Annotated[Access, typer.Option(help="clear: plain RTP.")] = Access.SRTP,
) -> None:
    """A virtual phone: registers, then calls or waits for calls, until Ctrl-C."""
    identity = pki / "phones" / device if pki else None
    settings = PhoneSettings(
        number=number,
        password=password,
        device=device,
        host=host,
        proxy=read_address(proxy, DEFAULT_PORT[transport]),
        transport=transport,
        certificate=identity / "cert.pem" if identity else None,
        key=identity / "key.pem" if identity else None,
        trust=(trust or pki / "CUBE_SS" / "cert.pem",) if pki else (),
        voice=PLAIN if access is Access.CLEAR else SECURE,
        says=read_source(say),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_serve(settings, call, seconds, record))
    raise typer.Exit(code)


async def _serve(settings: PhoneSettings, number: str, seconds: float, record: Path | None) -> int:
    phone = VirtualPhone(settings, Pacer())
    await phone.start()
    try:
        await _until_signal(_live(phone, number, seconds, record))
    except RegistrationFailed as error:
        typer.echo(f"not registered: {error}", err=True)
        for event in phone.agent.events:
            typer.echo(f"  {event.text}; fix: {event.fix}", err=True)
        return 1
    except CallFailed as error:
        typer.echo(f"call failed: {error} {error.warning}".rstrip(), err=True)
        return 1
    finally:
        await _leave(phone)
    return 0


async def _live(phone: VirtualPhone, number: str, seconds: float, record: Path | None) -> None:
    done = await phone.register()
    typer.echo(f"{phone.settings.number} registered, expires {done.expires} s")
    if number:
        await _talk(await phone.call(number), seconds, record)
    else:
        await _answer(phone, record)


async def _until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Its end, or SIGINT or SIGTERM."""
    task = asyncio.create_task(work, name="calls")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _leave(phone: VirtualPhone) -> None:
    """Hang up and unregister, however it ends."""
    try:
        await phone.hang_up_all()
        if phone.registration is not None:
            await phone.unregister()
    except RegistrationFailed as error:
        typer.echo(f"not unregistered: {error}", err=True)
    finally:
        await phone.close()


async def _talk(call: VoiceCall, seconds: float, record: Path | None) -> None:
    session = await call.answered()
    typer.echo(f"up: {session.form.name}, {'SRTP' if session.secure else 'plain RTP'}")
    try:
        async with asyncio.timeout(seconds or None):
            typer.echo(f"over: {await asyncio.shield(call.leg.over)}")
    except TimeoutError:
        await quiet(call)
    finally:
        _say_what_was_heard(call, record)


async def _answer(phone: VirtualPhone, record: Path | None) -> None:
    """One call after the other."""
    while True:
        call = await phone.incoming.get()
        typer.echo("incoming call")
        try:
            await asyncio.shield(call.leg.over)
        finally:
            _say_what_was_heard(call, record)


def _say_what_was_heard(call: VoiceCall, record: Path | None) -> None:
    counters = call.voice.counters
    samples = call.voice.recording.samples()
    typer.echo(f"sent {counters.sent}, received {counters.received}, failed authentication {counters.refused}")
    typer.echo(heard(samples))
    if record:
        write_wav(record, samples)


def heard(samples: array[int]) -> str:
    """Which of the lab's tones a recording holds, in words."""
    hearing = strongest(samples)
    return f"heard {hearing}" if hearing.hits else f"heard none of the tones {', '.join(map(str, PALETTE))} Hz"
