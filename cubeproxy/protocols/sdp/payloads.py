"""Payload types that need no rtpmap (RFC 3551 6, tables 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping

from cubeproxy.protocols.values import Codec

STATIC_PAYLOAD_TYPES: Mapping[int, Codec] = {
    0: Codec("pcmu", 8000),
    3: Codec("gsm", 8000),
    4: Codec("g723", 8000),
    5: Codec("dvi4", 8000),
    6: Codec("dvi4", 16000),
    7: Codec("lpc", 8000),
    8: Codec("pcma", 8000),
    9: Codec("g722", 8000),  # sampled at 16 kHz; 8000 is an old mistake that stays (RFC 3551 4.5.2)
    10: Codec("l16", 44100, 2),
    11: Codec("l16", 44100),
    12: Codec("qcelp", 8000),
    13: Codec("cn", 8000),
    14: Codec("mpa", 90000),
    15: Codec("g728", 8000),
    16: Codec("dvi4", 11025),
    17: Codec("dvi4", 22050),
    18: Codec("g729", 8000),
    25: Codec("celb", 90000),
    26: Codec("jpeg", 90000),
    28: Codec("nv", 90000),
    31: Codec("h261", 90000),
    32: Codec("mpv", 90000),
    33: Codec("mp2t", 90000),
    34: Codec("h263", 90000),
}
