"""G.711 as a codec of the packet path; the tables are `protocols.g711`."""

from __future__ import annotations

from collections.abc import Callable

from cubeproxy.media.codecs.base import Pcm
from cubeproxy.media.codecs.concealment import Concealment
from cubeproxy.protocols import g711


class G711Decoder:
    rate = 8000

    def __init__(self, decode: Callable[[bytes], Pcm]) -> None:
        self._decode = decode
        self._concealment = Concealment(self.rate)

    def decode(self, payload: bytes) -> Pcm:
        pcm = self._decode(payload)
        self._concealment.heard(pcm)
        return pcm

    def conceal(self, samples: int) -> Pcm:
        return self._concealment.fill(samples)

    def close(self) -> None:
        """Nothing is held."""


class G711Encoder:
    rate = 8000

    def __init__(self, ptime: int, encode: Callable[[Pcm], bytes]) -> None:
        self.ptime = ptime
        self._encode = encode

    def encode(self, pcm: Pcm) -> bytes:
        return self._encode(pcm)

    def close(self) -> None:
        """Nothing is held."""


def ulaw_decoder() -> G711Decoder:
    return G711Decoder(g711.decode_ulaw)


def alaw_decoder() -> G711Decoder:
    return G711Decoder(g711.decode_alaw)


def ulaw_encoder(ptime: int) -> G711Encoder:
    return G711Encoder(ptime, g711.encode_ulaw)


def alaw_encoder(ptime: int) -> G711Encoder:
    return G711Encoder(ptime, g711.encode_alaw)
