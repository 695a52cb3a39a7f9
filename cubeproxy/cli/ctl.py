"""`cubeproxy ctl`: build, show and verify trust lists, and verify signed configurations."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.cli.common import fail, read_config
from cubeproxy.cli.run import MAP_HELP, NVRAM_HELP
from cubeproxy.config.model import Config, PhoneProxy
from cubeproxy.phoneproxy.ctl import build_ctl, plan_ctl
from cubeproxy.pki.files import write_file
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import CubeError
from cubeproxy.protocols.trustlist import (
    Digest,
    Envelope,
    TrustList,
    read_envelope,
    read_list,
    validate_encrypted,
    validate_list,
    validate_signed,
)
from cubeproxy.views.show.ctl import show_list, show_signed

app = typer.Typer(help="Trust lists: what phones believe.", no_args_is_help=True)

LARGEST = 4 * 1024 * 1024  # octets read; more is refused as too large
FIRST_ELEMENT = b"\x01\x00"  # the version's type and the higher octet of its length: how every trust list begins


@app.command()
def build(
    config: Annotated[Path, typer.Argument(help="Running configuration of the router, `-` for standard input.")],
    out: Annotated[Path, typer.Option(help="The CTL file. One that is there already is followed, never undercut.")],
    nvram: Annotated[Path | None, typer.Option(envvar="CUBEPROXY_NVRAM", help=NVRAM_HELP)] = None,
    proxy: Annotated[str, typer.Option(help="Name of the voice-phone-proxy; needed when there are several.")] = "",
    sha512: Annotated[bool, typer.Option("--sha512", help="Sign with SHA-512, which old phones cannot read.")] = False,
    maps: Annotated[list[str] | None, typer.Option("--map", metavar="OLD=NEW", help=MAP_HELP)] = None,
) -> None:
    """Sign the trust list that phones of a configuration are handed."""
    model = read_config(config, maps or [])
    store = Store(nvram, model.trustpoints)
    try:
        plan = plan_ctl(model, _proxy(model, proxy), store)
        previous = _read(out) if out.exists() else None
        if previous and not previous.startswith(FIRST_ELEMENT):
            fail(f"{out} is there and is no trust list: it is left alone")
        files = build_ctl(plan, int(time.time()), previous, Digest.SHA512 if sha512 else Digest.SHA1)
    except CubeError as error:
        fail(error)
    for event in (*store.events, *files.events):
        typer.echo(f"{event.severity.name.lower():<8} {event.text}")
        if event.fix:
            typer.echo(f"         fix: {event.fix}")
    if files.fresh:
        try:
            write_file(out, files.ctl)
        except OSError as error:
            fail(f"{out}: {error.strerror}")
    signer = read_list(files.ctl).header.signer
    typer.echo(f"{out}: {len(plan.records)} records, {'signed' if files.fresh else 'unchanged, signed'} by {signer}")


@app.command()
def show(file: Annotated[Path, typer.Argument(help="A CTL, ITL, .sgn or .enc.sgn file.")]) -> None:
    """Show header and records of a file. Nothing is said about trust."""
    data = _read(file)
    try:
        envelope = read_envelope(data)
        typer.echo(show_list(read_list(data)) if _is_list(envelope) else show_signed(envelope), nl=False)
    except CubeError as error:
        fail(f"{file}: {error}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A CTL, ITL, .sgn or .enc.sgn file.")],
    trust: Annotated[Path | None, typer.Option(help="The trust list that a phone holds.")] = None,
) -> None:
    """Judge a file as a phone does. Without --trust a list is judged as the first one a phone meets."""
    data = _read(file)
    try:
        held = [validate_list(_read(trust))] if trust is not None else []
    except CubeError as error:
        fail(f"{trust}: {error}")
    try:
        typer.echo(f"{file}: valid, {_judge(data, held)}")
    except CubeError as error:
        fail(f"{file}: {error}")


def _judge(data: bytes, held: list[TrustList]) -> str:
    envelope = read_envelope(data)
    header = envelope.header
    if _is_list(envelope):
        validate_list(data, held)
        how = "a SAST of the list that is held" if held else "a SAST of this list, which is the first"
    elif not held:
        raise CubeError("a signed file is judged by the list that a phone holds: give it with --trust")
    else:
        judge = validate_encrypted if header.encryption is not None else validate_signed
        judge(data, held, header.file_name)
        how = "a file server of the list that is held"
    return f"signed by {header.signer}, {how}"


def _is_list(envelope: Envelope) -> bool:
    return envelope.header.file_name.lower().endswith(".tlv")


def _proxy(model: Config, name: str) -> PhoneProxy:
    proxies = model.phone_proxies
    if name in proxies:
        return proxies[name]
    if name or len(proxies) != 1:
        known = ", ".join(proxies) or "none"
        fail(f"which voice-phone-proxy? The configuration has {known}: give one with --proxy", 2)
    return next(iter(proxies.values()))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except OSError as error:
        fail(f"{path}: {error.strerror}", 2)
