"""The payload formats that the lab speaks, and tones or files cut into payloads."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from cubelab.audio.tones import RATE
from cubeproxy.protocols import g711

SAMPLES = 160  # a packet of 20 ms


@dataclass(slots=True, frozen=True)
class Format:
    """A static payload type (RFC 3551 6) that is one octet a sample at 8000 Hz."""

    payload_type: int
    name: str  # as in rtpmap
    encode: Callable[[array[int]], bytes] = field(repr=False)
    decode: Callable[[bytes], array[int]] = field(repr=False)


PCMU = Format(0, "PCMU", g711.encode_ulaw, g711.decode_ulaw)
PCMA = Format(8, "PCMA", g711.encode_alaw, g711.decode_alaw)
FORMATS = {one.payload_type: one for one in (PCMU, PCMA)}


def payloads(samples: array[int], form: Format) -> list[bytes]:
    """Samples as 20 ms payloads, the last one filled up with silence; empty input gives one silent payload."""
    missing = -len(samples) % SAMPLES or (0 if samples else SAMPLES)
    padded = samples + array("h", bytes(2 * missing))
    data = form.encode(padded)
    return [data[at : at + SAMPLES] for at in range(0, len(data), SAMPLES)]


def loop_length(frequency: int) -> float:
    """Seconds after which a tone of a whole number of Hz can start again without a seam, and end with a packet."""
    step = 50  # packets a second: a second always holds whole cycles and whole packets
    for packets in range(1, step):
        if frequency * packets * SAMPLES % RATE == 0:
            return packets / step
    return 1.0
