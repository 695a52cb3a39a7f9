"""G.711 against the tables of the recommendation, and against digests of another implementation's tables."""

from __future__ import annotations

import hashlib
import struct
from array import array

import pytest

from cubeproxy.protocols import g711

ALL = bytes(range(256))
POSITIVE = array("h", range(32768))
NEGATIVE = array("h", range(-32768, 0))


def digest(samples: array[int]) -> str:
    return hashlib.sha256(struct.pack(f"<{len(samples)}h", *samples)).hexdigest()


# Code without the sign, inverted -> decoder output, one row for each segment's first and last step.
ULAW_OUTPUTS = {
    0xFF: 0, 0xFE: 2, 0xF0: 30, 0xEF: 33, 0xE0: 93, 0xDF: 99, 0xD0: 219, 0xCF: 231, 0xC0: 471, 0xBF: 495,
    0xB0: 975, 0xAF: 1023, 0xA0: 1983, 0x9F: 2079, 0x90: 3999, 0x8F: 4191, 0x80: 8031,
}  # fmt: skip
# Decision value -> code of the interval that begins there.
ULAW_DECISIONS = {0: 0xFF, 1: 0xFE, 3: 0xFD, 31: 0xEF, 35: 0xEE, 95: 0xDF, 223: 0xCF, 479: 0xBF, 991: 0xAF, 2015: 0x9F,
             4063: 0x8F, 7903: 0x80}  # fmt: skip


class TestUlaw:
    """Table 2 of G.711, in 14 bits; ours are four times as large."""

    def test_decoder_outputs(self) -> None:
        for code, output in ULAW_OUTPUTS.items():
            assert g711.decode_ulaw(bytes((code, code & 0x7F))).tolist() == [4 * output, -4 * output]

    def test_decision_values(self) -> None:
        for value, code in ULAW_DECISIONS.items():
            assert g711.encode_ulaw(array("h", [4 * value]))[0] == code
            if value:
                assert g711.encode_ulaw(array("h", [4 * value - 1]))[0] == code + 1

    def test_the_tables_are_those_of_another_implementation(self) -> None:
        """SHA-256 over what CPython's audioop makes of every code and of every positive sample."""
        assert digest(g711.decode_ulaw(ALL)) == "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"
        encoded = hashlib.sha256(g711.encode_ulaw(POSITIVE)).hexdigest()
        assert encoded == "912062bf9c931c7ebc1dc1fd1d74faf0cfefcd47e8408a3ed4d07aa59f0f1c20"

    def test_every_code_comes_back(self) -> None:
        """But negative zero, which is the sample 0 like positive zero."""
        assert g711.encode_ulaw(g711.decode_ulaw(ALL)) == ALL.replace(b"\x7f", b"\xff")

    def test_silence(self) -> None:
        assert g711.encode_ulaw(array("h", [0]))[0] == 0xFF


ALAW_OUTPUTS = {
    0xD5: 1, 0xD4: 3, 0xDA: 31, 0xC5: 33, 0xCA: 63, 0xF5: 66, 0xFA: 126, 0xE5: 132, 0xEA: 252, 0x95: 264,
    0x9A: 504, 0x85: 528, 0x8A: 1008, 0xB5: 1056, 0xBA: 2016, 0xA5: 2112, 0xAA: 4032,
}  # fmt: skip
ALAW_DECISIONS = {0: 0xD5, 2: 0xD4, 32: 0xC5, 64: 0xF5, 128: 0xE5, 256: 0x95, 512: 0x85, 1024: 0xB5, 2048: 0xA5,
             3968: 0xAA}  # fmt: skip


class TestAlaw:
    """Table 1 of G.711, in 13 bits; ours are eight times as large. Codes with the even bits inverted."""

    def test_decoder_outputs(self) -> None:
        for code, output in ALAW_OUTPUTS.items():
            assert g711.decode_alaw(bytes((code, code & 0x7F))).tolist() == [8 * output, -8 * output]

    def test_decision_values(self) -> None:
        for value, code in ALAW_DECISIONS.items():
            assert g711.encode_alaw(array("h", [8 * value]))[0] == code
            if value:
                assert g711.encode_alaw(array("h", [8 * value - 1]))[0] != code

    def test_the_tables_are_those_of_another_implementation(self) -> None:
        assert digest(g711.decode_alaw(ALL)) == "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174"
        encoded = hashlib.sha256(g711.encode_alaw(POSITIVE)).hexdigest()
        assert encoded == "b209cb65664652ae64853b1f5ee015be44dba85f3883affd6dae34dc76f3eba0"
        encoded = hashlib.sha256(g711.encode_alaw(array("h", range(-32768, 32768)))).hexdigest()
        assert encoded == "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b"

    def test_every_code_comes_back(self) -> None:
        assert g711.encode_alaw(g711.decode_alaw(ALL)) == ALL

    def test_silence(self) -> None:
        assert g711.encode_alaw(array("h", [0]))[0] == 0xD5


class TestBoth:
    def test_negative_samples_mirror_positive_ones(self) -> None:
        for encode in (g711.encode_ulaw, g711.encode_alaw):
            turned = bytes(code ^ 0x80 for code in encode(POSITIVE))
            assert encode(NEGATIVE) == turned[::-1]

    def test_a_sample_of_more_than_16_bits_is_a_mistake(self) -> None:
        with pytest.raises(IndexError):
            g711.encode_ulaw(array("i", [65536]))
