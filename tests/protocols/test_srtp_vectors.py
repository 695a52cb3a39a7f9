"""Published vectors of RFC 3711, 6188 and 7714 and of libsrtp, in both directions.

Vectors of inner steps (key derivation, keystream, session keys) judge the reference of the tests, whole packets
judge the reference and ours. So every published value bears on what `protocols.srtp` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cubeproxy.protocols.srtp import AuthenticationFailed, Replayed, SrtpReceiver, SrtpSender
from cubeproxy.protocols.suites import MasterKey, Suite
from tests.protocols import srtp_reference as reference

KEYSTREAMS = ["rfc3711-B.2", "rfc6188-7.1", "rfc6188-7.3"]
DERIVATIONS = ["rfc3711-B.3", "rfc6188-7.2", "rfc6188-7.4"]
GCM_RTP = ["rfc7714-16.1.1", "rfc7714-16.2.1"]
GCM_TAGS = ["rfc7714-16.1.3-auth-only", "rfc7714-16.2.3-auth-only"]
GCM_RTCP = ["rfc7714-17.1", "rfc7714-17.2"]
PACKETS = [
    "libsrtp-validate-AES_CM_128_HMAC_SHA1_80",
    "computed-AES_CM_128_HMAC_SHA1_32",
    "libsrtp-validate-AEAD_AES_128_GCM",
    "computed-AEAD_AES_256_GCM",
]
OTHER_SUITES = ["libsrtp-srtp_validate_aes_256", "libsrtp-srtp_validate_aes_192"]
ROLLOVER = "rollover-sequence-AES_CM_128_HMAC_SHA1_80"

Vector = dict[str, Any]


@pytest.fixture(scope="module")
def vectors(corpora: Path) -> dict[str, Vector]:
    listed = json.loads((corpora / "srtp" / "vectors.json").read_text())["vectors"]
    return {vector["id"]: vector for vector in listed}


def octets(vector: Vector, *names: str) -> Iterator[bytes]:
    return (bytes.fromhex(vector[name]) for name in names)


def master_key(vector: Vector) -> MasterKey:
    return MasterKey(Suite(vector["suite"]), b"".join(octets(vector, "master_key", "master_salt")))


def test_every_vector_is_used(vectors: dict[str, Vector]) -> None:
    used = [*KEYSTREAMS, *DERIVATIONS, *GCM_RTP, *GCM_TAGS, *GCM_RTCP, *PACKETS, *OTHER_SUITES, ROLLOVER]
    assert sorted(vectors) == sorted(used)


@pytest.mark.parametrize("name", KEYSTREAMS)
def test_keystream(name: str, vectors: dict[str, Vector]) -> None:
    key, iv = octets(vectors[name], "session_key", "iv")
    for place, block in vectors[name]["blocks"].items():
        counter = int.from_bytes(iv, "big") + int(place, 16)
        assert reference.keystream(key, counter, 16).hex() == block


@pytest.mark.parametrize("name", DERIVATIONS)
def test_key_derivation(name: str, vectors: dict[str, Vector]) -> None:
    vector = vectors[name]
    master, salt = octets(vector, "master_key", "master_salt")
    assert (vector["index"], vector["kdr"]) == (0, 0)
    assert reference.derive(master, salt, 0, len(master)).hex() == vector["cipher_key"]
    assert reference.derive(master, salt, 2, 14).hex() == vector["cipher_salt"]
    wanted = vector.get("auth_key_94") or vector["auth_key_20"]
    assert reference.derive(master, salt, 1, len(wanted) // 2).hex() == wanted


@pytest.mark.parametrize("name", GCM_RTP)
def test_gcm_packet(name: str, vectors: dict[str, Vector]) -> None:
    vector = vectors[name]
    key, salt, plain, protected = octets(vector, "session_key", "session_salt", "plaintext", "protected")
    assert reference.gcm_rtp(key, salt, plain, vector["roc"]) == protected


@pytest.mark.parametrize("name", GCM_TAGS)
def test_gcm_tag(name: str, vectors: dict[str, Vector]) -> None:
    key, iv, aad, tag = octets(vectors[name], "session_key", "iv", "aad", "tag")
    assert reference.gcm(key, iv, aad, b"") == tag


@pytest.mark.parametrize("name", GCM_RTCP)
def test_gcm_rtcp_packet(name: str, vectors: dict[str, Vector]) -> None:
    vector = vectors[name]
    key, salt, plain, protected = octets(vector, "session_key", "session_salt", "plaintext", "protected")
    assert vector["e_bit"] == 1
    assert reference.gcm_rtcp(key, salt, plain, vector["srtcp_index"]) == protected


@pytest.mark.parametrize("name", [*PACKETS, *OTHER_SUITES])
def test_reference_packet(name: str, vectors: dict[str, Vector]) -> None:
    vector = vectors[name]
    master, salt, plain, protected = octets(vector, "master_key", "master_salt", "plaintext", "protected")
    assert reference.protect(vector["suite"], master, salt, plain, vector["roc"]) == protected
    if "rtcp_plaintext" in vector:
        plain, protected = octets(vector, "rtcp_plaintext", "rtcp_protected")
        assert reference.protect_rtcp(vector["suite"], master, salt, plain, vector["srtcp_index"]) == protected


@pytest.mark.parametrize("name", PACKETS)
def test_our_packet(name: str, vectors: dict[str, Vector]) -> None:
    plain, protected = octets(vectors[name], "plaintext", "protected")
    key = master_key(vectors[name])
    assert SrtpSender(key, 0xCAFEBABE).protect(plain) == protected
    assert SrtpReceiver(key).unprotect(protected) == plain


@pytest.mark.parametrize("name", PACKETS)
def test_our_rtcp_packet(name: str, vectors: dict[str, Vector]) -> None:
    vector = vectors[name]
    key = master_key(vector)
    plain = bytes.fromhex("81c8000bcafebabeabababababababababababababababab")
    master, salt = octets(vector, "master_key", "master_salt")
    protected = reference.protect_rtcp(vector["suite"], master, salt, plain, 1)
    assert vector.get("rtcp_protected", protected.hex()) == protected.hex()
    assert SrtpSender(key, 0xCAFEBABE).protect_rtcp(plain) == protected
    assert SrtpReceiver(key).unprotect_rtcp(protected) == plain


class TestRollover:
    """The counter over two wraps, with a packet that comes late over the first."""

    def test_received(self, vectors: dict[str, Vector]) -> None:
        vector = vectors[ROLLOVER]
        receiver = SrtpReceiver(master_key(vector))
        newest = -1
        for packet in vector["packets"]:
            plain, protected = octets(packet, "plaintext", "protected")
            for damage in range(10):
                forged = bytearray(protected)
                forged[-1 - damage] ^= 1
                with pytest.raises(AuthenticationFailed):
                    receiver.unprotect(bytes(forged))
            assert receiver.unprotect(protected) == plain
            newest = max(newest, packet["roc"] << 16 | packet["seq"])
            assert receiver.index == newest
            with pytest.raises(Replayed):
                receiver.unprotect(protected)

    def test_sent(self, vectors: dict[str, Vector]) -> None:
        vector = vectors[ROLLOVER]
        sender = SrtpSender(master_key(vector), 0xCAFEBABE)
        for packet in vector["packets"]:
            plain, protected = octets(packet, "plaintext", "protected")
            assert sender.protect(plain) == protected

    def test_the_reference_agrees(self, vectors: dict[str, Vector]) -> None:
        vector = vectors[ROLLOVER]
        master, salt = octets(vector, "master_key", "master_salt")
        for packet in vector["packets"]:
            plain, protected = octets(packet, "plaintext", "protected")
            assert reference.protect(vector["suite"], master, salt, plain, packet["roc"]) == protected
