"""SRTP and SRTCP written from RFC 3711, 6188 and 7714 over `cryptography`, as a judge that knows no libsrtp."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SRTP, SRTCP = 0, 3  # first key derivation label (RFC 3711 4.3.2)
TAGS = {"AES_CM_128_HMAC_SHA1_32": 4}


def keystream(key: bytes, counter: int, octets: int) -> bytes:
    """AES in counter mode from a 128-bit counter block."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(octets))


def derive(master: bytes, salt: bytes, label: int, octets: int) -> bytes:
    """RFC 3711 4.3 with a derivation rate of 0; a 12-octet salt is filled up at its end (RFC 7714 11)."""
    block = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ label << 48
    return keystream(master, block << 16, octets)


def exclusive_or(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def gcm(key: bytes, iv: bytes, aad: bytes, plain: bytes) -> bytes:
    return AESGCM(key).encrypt(iv, plain, aad)


def gcm_rtp(key: bytes, salt: bytes, packet: bytes, rollovers: int) -> bytes:
    """With session keys; header of 12 octets (RFC 7714 8)."""
    iv = exclusive_or(bytes(2) + packet[8:12] + rollovers.to_bytes(4, "big") + packet[2:4], salt)
    return packet[:12] + gcm(key, iv, packet[:12], packet[12:])


def gcm_rtcp(key: bytes, salt: bytes, packet: bytes, index: int) -> bytes:
    """With session keys, encrypted (RFC 7714 9)."""
    word = (index | 1 << 31).to_bytes(4, "big")
    iv = exclusive_or(bytes(2) + packet[4:8] + bytes(2) + index.to_bytes(4, "big"), salt)
    return packet[:8] + gcm(key, iv, packet[:8] + word, packet[8:]) + word


def protect(suite: str, master: bytes, salt: bytes, packet: bytes, rollovers: int) -> bytes:
    """A protected packet whose header is 12 octets."""
    key, session_salt = derive(master, salt, SRTP, len(master)), derive(master, salt, SRTP + 2, len(salt))
    if "GCM" in suite:
        return gcm_rtp(key, session_salt, packet, rollovers)
    index = rollovers << 16 | int.from_bytes(packet[2:4], "big")
    body = _counter_mode(key, session_salt, packet[8:12], index, packet[12:])
    signed = packet[:12] + body
    tag = _tag(derive(master, salt, SRTP + 1, 20), signed + rollovers.to_bytes(4, "big"))
    return signed + tag[: TAGS.get(suite, 10)]


def protect_rtcp(suite: str, master: bytes, salt: bytes, packet: bytes, index: int) -> bytes:
    key, session_salt = derive(master, salt, SRTCP, len(master)), derive(master, salt, SRTCP + 2, len(salt))
    if "GCM" in suite:
        return gcm_rtcp(key, session_salt, packet, index)
    body = _counter_mode(key, session_salt, packet[4:8], index, packet[8:])
    signed = packet[:8] + body + (index | 1 << 31).to_bytes(4, "big")
    return signed + _tag(derive(master, salt, SRTCP + 1, 20), signed)[:10]


def _counter_mode(key: bytes, salt: bytes, ssrc: bytes, index: int, plain: bytes) -> bytes:
    """RFC 3711 4.1.1."""
    counter = int.from_bytes(salt, "big") << 16 ^ int.from_bytes(ssrc, "big") << 64 ^ index << 16
    return exclusive_or(plain, keystream(key, counter, len(plain)))


def _tag(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha1).digest()
