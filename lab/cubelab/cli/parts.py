"""Reading the words of the `cubelab` command line."""

from __future__ import annotations

from pathlib import Path

import typer

from cubelab.audio.wav import read_wav
from cubelab.voice.voice import Source
from cubeproxy.protocols.values import Address


def read_address(text: str, default_port: int = 0) -> Address:
    """`host` or `host:port`, IPv4 literals."""
    host, _, port = text.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and int(port) < 65536)):
        raise typer.BadParameter(f"{text} is not host:port")
    return host, int(port) if port else default_port


def read_source(text: str) -> Source:
    """A tone in Hz, a wave file, or nothing."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return read_wav(Path(text))
    except (OSError, ValueError, EOFError) as error:
        raise typer.BadParameter(str(error)) from None


def read_pairs(texts: list[str]) -> dict[str, str]:
    """`number=value` words."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text} is not NUMBER=VALUE")
        pairs[name] = value
    return pairs
