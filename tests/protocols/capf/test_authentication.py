"""The four ways of proving oneself to CAPF, and forgeries. RSA signatures are made by an independent library."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from cubeproxy.protocols.capf import Attempt, AuthMode, CertificateType, Proof, authenticated
from cubeproxy.protocols.capf.authentication import (
    SHA1,
    SHA512,
    auth_octets,
    auth_response,
    read_attempt,
    read_sha2,
    read_sudi,
    rsa_block,
    rsa_matches,
    sha2_value,
    sudi_octets,
    sudi_value,
)
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from tests.protocols.capf.stage import DER, DEVICE

RSA = rsa.generate_private_key(65537, 1024)
NUMBERS = RSA.public_key().public_numbers()


def attempt(**proof: object) -> Attempt:
    return Attempt(2, DEVICE, 3, Proof(**proof))  # type: ignore[arg-type]


def digest_of(octets: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    found = hashes.Hash(algorithm)
    found.update(octets)
    return found.finalize()


def test_an_attempt_comes_back_from_the_wire() -> None:
    proof = Proof("123", DER, CertificateType.LSC, b"s1", b"s512", sudi_value(DER, b"a", b"b"))
    assert read_attempt(auth_response(2, DEVICE, proof, 3)) == Attempt(2, DEVICE, 3, proof)


def test_an_attempt_needs_name_and_version() -> None:
    with pytest.raises(RemoteProtocolError, match="without device name"):
        read_attempt(auth_response(2, "", Proof(), 3))


@pytest.mark.parametrize(
    ("mode", "tried", "password", "good"),
    [
        (AuthMode.NULL, attempt(), "", True),
        (AuthMode.STRING, attempt(password="1234"), "1234", True),
        (AuthMode.STRING, attempt(password="1235"), "1234", False),
        (AuthMode.STRING, attempt(password=""), "", False),  # no string set is no open door
        (AuthMode.STRING, attempt(), "1234", False),
        (AuthMode.LSC, attempt(certificate=DER, signed=b"s", kind=CertificateType.LSC), "", True),
        (AuthMode.LSC, attempt(certificate=DER, signed=b"s", kind=CertificateType.MIC), "", True),
        (AuthMode.MIC, attempt(certificate=DER, signed=b"s", kind=CertificateType.MIC), "", True),
        (AuthMode.MIC, attempt(certificate=DER, signed=b"s", kind=CertificateType.LSC), "", False),
        (AuthMode.MIC, attempt(certificate=DER), "", False),
        (AuthMode.LSC, attempt(signed=b"s"), "", False),
        (AuthMode.NONE, attempt(password="1234"), "1234", False),
    ],
)
def test_each_mode(mode: AuthMode, tried: Attempt, password: str, good: bool) -> None:
    assert authenticated(mode, tried, password, lambda _: True) is good


def test_a_certificate_alone_proves_nothing() -> None:
    tried = attempt(certificate=DER, signed=b"s")
    assert not authenticated(AuthMode.LSC, tried, verify=lambda _: False)
    assert not authenticated(AuthMode.LSC, tried)


@pytest.mark.parametrize(("code", "algorithm"), [(SHA1, hashes.SHA1()), (SHA512, hashes.SHA512())])
def test_a_bare_hash_signed_by_an_independent_library(code: int, algorithm: hashes.HashAlgorithm) -> None:
    octets = auth_octets(DEVICE, DER)
    assert octets == DEVICE.encode() + b"\0" + DER
    signature = RSA.sign(digest_of(octets, algorithm), padding.PKCS1v15(), NoDigestInfo())
    assert rsa_matches(signature, octets, NUMBERS.n, NUMBERS.e, code)
    assert not rsa_matches(signature, octets + b"x", NUMBERS.n, NUMBERS.e, code)
    assert not rsa_matches(signature[:-1], octets, NUMBERS.n, NUMBERS.e, code)
    assert not rsa_matches(bytes((signature[0] ^ 1,)) + signature[1:], octets, NUMBERS.n, NUMBERS.e, code)


def test_an_ordinary_signature_is_another_thing() -> None:
    """PKCS#1 v1.5 as everyone makes it has a DigestInfo."""
    signature = RSA.sign(b"octets", padding.PKCS1v15(), hashes.SHA1())
    assert not rsa_matches(signature, b"octets", NUMBERS.n, NUMBERS.e)


def test_a_block_that_only_ends_with_the_hash_is_no_proof() -> None:
    digest = digest_of(b"octets", hashes.SHA1())
    block = (b"\x00\x01" + b"\xff" * 20 + b"\x00").ljust(128 - len(digest), b"\x55") + digest
    private = RSA.private_numbers()
    forged = pow(int.from_bytes(block, "big"), private.d, NUMBERS.n).to_bytes(128, "big")
    assert not rsa_matches(forged, b"octets", NUMBERS.n, NUMBERS.e)


def test_keys_that_cannot_sign() -> None:
    with pytest.raises(LocalProtocolError, match="cannot sign 64"):
        rsa_block(b"", 64, SHA512)
    assert not rsa_matches(bytes(64), b"", 1 << 511, 3, SHA512)
    assert not rsa_matches(bytes(128), b"", NUMBERS.n, 1 << 65)
    assert not rsa_matches(NUMBERS.n.to_bytes(128, "big"), b"", NUMBERS.n, NUMBERS.e)


def test_a_sudi_is_proved_over_the_session_number() -> None:
    assert sudi_octets(2, DER) == b"\x02\0\0\0" + DER
    value = sudi_value(DER, b"one", b"three")
    assert value.startswith(b"\0" + len(DER).to_bytes(2, "big"))
    assert read_sudi(value) == (DER, b"one", b"three")
    for broken in (b"", value[:-1], value + b"\0", value + b"\0\0\0", sudi_value(DER, b"", b"")[:-3]):
        with pytest.raises(RemoteProtocolError):
            read_sudi(broken)


def test_a_signature_by_sha_512_names_its_hash() -> None:
    assert read_sha2(sha2_value(b"sig")) == b"sig"
    for broken in (b"", b"\x01\0\3sig", b"\x03\0\4sig"):
        with pytest.raises(RemoteProtocolError):
            read_sha2(broken)
