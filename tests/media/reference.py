"""SRTP by the letter of the RFCs, slow and plain, over `cryptography`: what the native transforms are compared with."""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cubeproxy.protocols.suites import MasterKey, Suite

AUTH = {Suite.AES_CM_128_HMAC_SHA1_80: 10, Suite.AES_CM_128_HMAC_SHA1_32: 4}


def counter_mode(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def derive(key: bytes, salt: bytes, label: int, octets: int) -> bytes:
    """RFC 3711 4.3.1 and 4.3.3 with a derivation rate of 0; RFC 6188 2 for 32 octets of key."""
    x = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ label << 48
    return counter_mode(key, (x << 16).to_bytes(16, "big"), bytes(octets))


def cm_iv(salt: bytes, ssrc: int, index: int) -> bytes:
    """RFC 3711 4.1.1."""
    return (int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16).to_bytes(16, "big")


def gcm_iv(salt: bytes, ssrc: int, index: int) -> bytes:
    """RFC 7714 8.1."""
    return _xor((ssrc << 48 | index).to_bytes(12, "big"), salt)


def _xor(first: bytes, second: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def protect(key: MasterKey, index: int, packet: bytes) -> bytes:
    """A packet with a bare header of 12 octets."""
    sizes = key.suite.sizes
    master, salt = key.master[: sizes.key], key.master[sizes.key :]
    head, payload, ssrc = packet[:12], packet[12:], int.from_bytes(packet[8:12], "big")
    session, session_salt = derive(master, salt, 0, sizes.key), derive(master, salt, 2, sizes.salt)
    if key.suite not in AUTH:
        return head + AESGCM(session).encrypt(gcm_iv(session_salt, ssrc, index), payload, head)
    encrypted = head + counter_mode(session, cm_iv(session_salt, ssrc, index), payload)
    rollovers = (index >> 16).to_bytes(4, "big")
    tag = hmac.digest(derive(master, salt, 1, 20), encrypted + rollovers, "sha1")
    return encrypted + tag[: AUTH[key.suite]]
