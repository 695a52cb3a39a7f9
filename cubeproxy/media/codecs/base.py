"""What a codec is to the packet path: payload in, samples out, and the other way round.

Samples are `array("h")`: 16-bit linear, mono, at the codec's own rate. Every object belongs to one direction of one
stream and keeps its state from packet to packet.
"""

from __future__ import annotations

from array import array
from typing import Protocol, TypeAlias

from cubeproxy.protocols.errors import LocalProtocolError

Pcm: TypeAlias = "array[int]"  # of type code "h"


class CodecMissing(LocalProtocolError):
    """A codec cannot be used here; the text says what is missing and how to get it."""


class Decoder(Protocol):
    """`rate` is what the samples have, in Hz."""

    rate: int

    def decode(self, payload: bytes) -> Pcm:
        """The samples of a payload. ValueError when it is none."""

    def conceal(self, samples: int) -> Pcm:
        """As many samples in the place of those that were lost."""

    def close(self) -> None: ...


class Encoder(Protocol):
    """`rate` in Hz, `ptime` in ms: what `encode` wants is exactly one packet of samples."""

    rate: int
    ptime: int

    def encode(self, pcm: Pcm) -> bytes: ...
    def close(self) -> None: ...


def silence(samples: int) -> Pcm:
    return array("h", bytes(2 * samples))
