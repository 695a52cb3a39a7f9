"""G.711, both laws, by tables (ITU-T G.711, tables 1 and 2).

Linear samples have 16 bits: the codec's 14 (mu-law) or 13 (A-law) bits, left-aligned. Everything works on whole
packets: decoding is two `bytes.translate`, one for each octet of a sample. A negative sample is coded as its ones'
complement with the sign bit turned, as the ITU's own reference does (G.191), so that positive and negative halves of
the tables mirror each other.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

_TURN_SIGN = bytes(code ^ 0x80 for code in range(256))


def _ulaw_interval(code: int) -> tuple[int, int]:
    """Lowest magnitude and output of a code: inverted, segments of doubling steps, all shifted down by 132."""
    segment, step = ~code >> 4 & 7, ~code & 0x0F
    low = ((step << 3) + 128 << segment) - 132
    return max(low, 0), low + (4 << segment)


def _alaw_interval(code: int) -> tuple[int, int]:
    """The same for A-law: even bits inverted, two segments of equal steps, then of doubling ones."""
    segment, step = (code ^ 0x55) >> 4 & 7, (code ^ 0x55) & 0x0F
    if not segment:
        return step << 4, (step << 4) + 8
    low = (step << 4) + 0x100 << segment - 1
    return low, low + (8 << segment - 1)


def _tables(interval: Callable[[int], tuple[int, int]]) -> tuple[array[int], bytes]:
    """Sample of each code, and code of each sample (negative samples count from the end of the table).

    In both laws a code with the top bit set is a positive sample.
    """
    positive = bytearray(32768)
    samples = array("h", bytes(512))
    for low, output, code in sorted((*interval(code), code) for code in range(128, 256)):
        positive[low:] = bytes((code,)) * (32768 - low)
        samples[code], samples[code ^ 0x80] = output, -output
    return samples, bytes(positive) + bytes(reversed(positive)).translate(_TURN_SIGN)


ULAW_SAMPLES, ULAW_CODES = _tables(_ulaw_interval)
ALAW_SAMPLES, ALAW_CODES = _tables(_alaw_interval)


def _octets(samples: array[int]) -> tuple[bytes, bytes]:
    """First and second octet in memory of every code's sample."""
    raw = samples.tobytes()
    return raw[0::2], raw[1::2]


_ULAW_OCTETS = _octets(ULAW_SAMPLES)
_ALAW_OCTETS = _octets(ALAW_SAMPLES)


def _decode(payload: bytes, octets: tuple[bytes, bytes]) -> array[int]:
    raw = bytearray(2 * len(payload))
    raw[0::2] = payload.translate(octets[0])
    raw[1::2] = payload.translate(octets[1])
    samples = array("h")
    samples.frombytes(raw)
    return samples


def decode_ulaw(payload: bytes) -> array[int]:
    """16-bit samples, as many as there are octets."""
    return _decode(payload, _ULAW_OCTETS)


def decode_alaw(payload: bytes) -> array[int]:
    return _decode(payload, _ALAW_OCTETS)


def encode_ulaw(samples: array[int]) -> bytes:
    """One octet a sample. IndexError for a sample that has more than 16 bits."""
    return bytes(map(ULAW_CODES.__getitem__, samples))


def encode_alaw(samples: array[int]) -> bytes:
    return bytes(map(ALAW_CODES.__getitem__, samples))
