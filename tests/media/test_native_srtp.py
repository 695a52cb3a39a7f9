"""The native transforms against the vectors of RFC 3711, 6188 and 7714, by way of a reference that reproduces those."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.counters import AUTH_FAILURES, INDEX_IN, REPLAYS
from cubeproxy.protocols.srtp import SrtpReceiver, SrtpSender
from cubeproxy.protocols.suites import MasterKey, Suite
from tests.protocols import srtp_reference

from . import builds, reference
from .native_hook import Hook, NativeSession
from .phones import Phone, key

GALLIA = bytes.fromhex("8040f17b8041f8d35501a0b2") + b"Gallia est omnis divisa in partes tres"
GCM_SALT = bytes.fromhex("517569642070726f2071756f")


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    if builds.missing():
        pytest.skip(builds.missing())
    made = Hook(builds.worker())
    yield made
    assert made.end() == ""


class TestTheReference:
    def test_counter_mode_is_that_of_rfc_3711_b_2(self) -> None:
        iv = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000")
        stream = reference.counter_mode(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), iv, bytes(32))
        assert stream.hex() == "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"

    def test_derivation_is_that_of_rfc_6188(self) -> None:
        master = bytes.fromhex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6")
        salt = bytes.fromhex("3b04803de51ee7c96423ab5b78d2")
        assert reference.derive(master, salt, 0, 32).hex() == (
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"
        )
        assert reference.derive(master, salt, 2, 14).hex() == "fa31791685ca444a9e07c6c64e93"

    @pytest.mark.parametrize(
        ("octets", "expected"),
        [
            (
                16,
                (
                    "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
                    "899d7f27beb16a9152cf765ee4390cce"
                ),
            ),
            (
                32,
                (
                    "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
                    "7aa3db36dfffd6b0f9bb7878d7a76c13"
                ),
            ),
        ],
    )
    def test_gcm_is_that_of_rfc_7714_16(self, octets: int, expected: str) -> None:
        iv = reference.gcm_iv(GCM_SALT, 0x5501A0B2, 0xF17B)
        sealed = AESGCM(bytes(range(octets))).encrypt(iv, GALLIA[12:], GALLIA[:12])
        assert sealed.hex() == expected


def test_keys_are_derived_as_in_rfc_3711_b_3(hook: Hook) -> None:
    master = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139" + "0ec675ad498afeebb6960b3aabe6")
    derived = MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, master)
    assert hook.derive(derived, 0, 16).hex() == "c61e7a93744f39ee10734afe3ff7a087"
    assert hook.derive(derived, 2, 14).hex() == "30cbbc08863d8c85d49db34a9ae1"
    assert hook.derive(derived, 1, 20).hex() == "cebe321f6ff7716b6fd4ab49af256a156d38baa4"


def test_keys_of_256_bits_are_derived_as_in_rfc_6188(hook: Hook) -> None:
    """7.1's key, with a salt of 12 octets as GCM has it: RFC 7714 11 fills it up with zeros."""
    master = bytes.fromhex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6")
    salt = bytes.fromhex("3b04803de51ee7c96423ab5b")
    made = MasterKey(Suite.AEAD_AES_256_GCM, master + salt)
    for label, octets in ((0, 32), (2, 12), (3, 32), (5, 12)):
        assert hook.derive(made, label, octets) == reference.derive(master, salt, label, octets)


@pytest.mark.parametrize("suite", Suite)
@settings(max_examples=60, deadline=None)
@given(
    master=st.binary(min_size=46, max_size=46),
    index=st.integers(0, (1 << 48) - 1),
    rest=st.binary(min_size=8, max_size=1300),
)
def test_packets_are_those_of_the_reference_both_ways(
    hook: Hook, suite: Suite, master: bytes, index: int, rest: bytes
) -> None:
    made = MasterKey(suite, master[: suite.sizes.master])
    packet = b"\x80\x00" + (index & 0xFFFF).to_bytes(2, "big") + rest
    expected = reference.protect(made, index, packet)
    assert hook.protect(made, index, packet) == expected
    assert hook.unprotect(made, index, expected) == packet
    assert hook.unprotect(made, index ^ 0x10000, expected) == b"", "another rollover"
    for place in (0, len(expected) - 1, len(packet) - 1):
        forged = bytearray(expected)
        forged[place] ^= 1
        assert hook.unprotect(made, index, bytes(forged)) == b""


@pytest.mark.parametrize("suite", Suite)
@settings(max_examples=40, deadline=None)
@given(
    master=st.binary(min_size=46, max_size=46),
    index=st.integers(0, (1 << 31) - 1),
    rest=st.binary(min_size=4, max_size=400),
)
def test_reports_are_those_of_the_reference_both_ways(
    hook: Hook, suite: Suite, master: bytes, index: int, rest: bytes
) -> None:
    """The reference reproduces the SRTCP packets of RFC 7714 17 (tests/protocols/test_srtp_vectors.py)."""
    made = MasterKey(suite, master[: suite.sizes.master])
    packet = b"\x80\xc9\x00\x01" + rest
    key, salt = made.master[: suite.sizes.key], made.master[suite.sizes.key :]
    expected = srtp_reference.protect_rtcp(suite.value, key, salt, packet, index)
    assert hook.protect_rtcp(made, index, packet) == expected
    assert hook.unprotect_rtcp(made, index, expected) == packet
    for place in range(0, len(expected), 7):
        forged = bytearray(expected)
        forged[place] ^= 1
        assert hook.unprotect_rtcp(made, index, bytes(forged)) == b""


@pytest.mark.parametrize("suite", Suite)
def test_contexts_go_on_where_another_process_left_off(suite: Suite) -> None:
    """Rollover counters are given to a new receiver and a new sender; the product's own SRTP is the other end."""
    if builds.missing():
        pytest.skip(builds.missing())
    session = NativeSession(builds.worker())
    phone, core = Phone(("127.0.0.1", 4000), key(1, suite), key(2, suite)), Phone(("127.0.0.2", 5000))
    session.update((phone.spec(), core.spec()), 1.0)
    first = session.receive(1, core.say(), core.address, 1.0)
    assert first
    ssrc = int.from_bytes(first[0][8:12], "big")
    index, sent = 5 << 16 | 100, 3 << 16 | int.from_bytes(first[0][2:4], "big")
    session.hook.resume(0, False, phone.ssrc, index)
    session.hook.resume(0, True, ssrc, sent)
    sender = SrtpSender(key(1, suite), phone.ssrc, resume=index)
    phone.use(None, None)
    packets = [sender.protect(phone.say(bytes((number,)) * 20)) for number in range(10)]
    for number, packet in enumerate(packets):
        out = session.receive(0, packet, phone.address, 1.02)
        assert out
        assert out[0][12:] == bytes((number,)) * 20
    assert session.receive(0, packets[3], phone.address, 1.02) is None
    words = session.legs[0].words
    assert (words[REPLAYS], words[AUTH_FAILURES], words[INDEX_IN] >> 16) == (1, 0, 5)
    receiver = SrtpReceiver(key(2, suite))
    receiver.resume(ssrc, sent)
    for number in range(5):
        spoken = session.receive(1, core.say(bytes((number,)) * 20), core.address, 1.04)
        assert spoken
        assert receiver.unprotect(spoken[0])[12:] == bytes((number,)) * 20
    assert session.hook.end() == ""
