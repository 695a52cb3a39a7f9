"""What the two ends agree on: block size (RFC 2348), timeout and size (RFC 2349), window (RFC 7440).

A server leaves out of its OACK what it does not want, and sends none when nothing is left (RFC 2347); it may lower a
block size and a window, never raise one. A client takes an OACK that stays within what it asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cubeproxy.protocols.errors import RemoteProtocolError

BLOCK_SIZE, TIMEOUT, SIZE, WINDOW = "blksize", "timeout", "tsize", "windowsize"
SMALLEST_BLOCK, LARGEST_BLOCK = 8, 65464  # RFC 2348

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(slots=True, frozen=True)
class Limits:
    """What we agree to at most. 1428 octets fit an Ethernet frame; eight blocks are what a spoofed ACK can cost."""

    block_size: int = 1428
    window: int = 8


@dataclass(slots=True, frozen=True)
class Terms:
    """What a transfer runs with. The defaults are RFC 1350."""

    block_size: int = 512  # octets
    window: int = 1  # blocks an ACK
    timeout: int | None = None  # s between retransmissions, None: our own back-off
    size: int | None = None  # octets of the file, as the server says


LIMITS = Limits()
PLAIN = Terms()


def answer(asked: Mapping[str, str], size: int, limits: Limits = LIMITS) -> tuple[Terms, dict[str, str]]:
    """A server's terms for a file of `size` octets, and its OACK: {} when there is nothing to say."""
    said: dict[str, str] = {}
    block_size, window, timeout = 512, 1, None
    for name, value in asked.items():
        number = _number(value)
        if number is None:
            continue
        if name == BLOCK_SIZE and SMALLEST_BLOCK <= number <= LARGEST_BLOCK:
            block_size = min(number, limits.block_size)
            said[name] = str(block_size)
        elif name == WINDOW and 1 <= number <= 65535:
            window = min(number, limits.window)
            said[name] = str(window)
        elif name == TIMEOUT and 1 <= number <= 255:
            timeout = number
            said[name] = value
        elif name == SIZE:
            said[name] = str(size)
    return Terms(block_size, window, timeout, size), said


def ask(terms: Terms) -> dict[str, str]:
    """A client's options for the terms it would like; the size is asked for whenever anything is."""
    asked = {}
    if terms.block_size != 512:
        asked[BLOCK_SIZE] = str(terms.block_size)
    if terms.window != 1:
        asked[WINDOW] = str(terms.window)
    if terms.timeout is not None:
        asked[TIMEOUT] = str(terms.timeout)
    return asked | {SIZE: "0"} if asked else {}


def agree(asked: Mapping[str, str], said: Mapping[str, str]) -> Terms:
    """A client's terms from an OACK. RemoteProtocolError when the server says what was not asked."""
    numbers: dict[str, int] = {}
    for name, value in said.items():
        number = _number(value)
        if name not in asked or number is None:
            raise RemoteProtocolError(f"the TFTP server answers {name}={value}, which was not asked for")
        numbers[name] = number
    block_size, window = numbers.get(BLOCK_SIZE, 512), numbers.get(WINDOW, 1)
    if BLOCK_SIZE in numbers and not SMALLEST_BLOCK <= block_size <= int(asked[BLOCK_SIZE]):
        raise RemoteProtocolError(f"the TFTP server wants blocks of {block_size} octets")
    if WINDOW in numbers and not 1 <= window <= int(asked[WINDOW]):
        raise RemoteProtocolError(f"the TFTP server wants a window of {window} blocks")
    if TIMEOUT in numbers and str(numbers[TIMEOUT]) != asked[TIMEOUT]:
        raise RemoteProtocolError(f"the TFTP server wants a timeout of {numbers[TIMEOUT]} s")
    return Terms(block_size, window, numbers.get(TIMEOUT), numbers.get(SIZE))


def _number(value: str) -> int | None:
    return int(value) if _NUMBER.fullmatch(value) else None
