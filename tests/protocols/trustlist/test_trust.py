"""What is believed and what is refused, each refusal by its rule. OpenSSL is the independent judge of signatures."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cubeproxy.protocols.errors import LocalProtocolError, TrustError
from cubeproxy.protocols.trustlist import (
    FILE_SIGNERS,
    ITL_NAME,
    SIP_SERVERS,
    Digest,
    Role,
    Rule,
    Signer,
    TrustListError,
    decrypt,
    encrypt_file,
    read_encrypted,
    read_list,
    read_signed,
    record_of,
    sign_file,
    sign_list,
    stub_of,
    validate_encrypted,
    validate_list,
    validate_signed,
    validate_signed_by,
)
from tests.protocols.trustlist.makers import (
    CONFIG,
    CONFIG_NAME,
    NOW,
    certificate,
    ctl_octets,
    ec_key,
    mixed_mode_ctl,
    rsa_key,
    sast,
    signer,
)


def refused(call: object, *arguments: object, **named: object) -> TrustListError:
    with pytest.raises(TrustListError) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    return caught.value


def test_the_first_list_is_believed_when_it_holds_together() -> None:
    assert validate_list(ctl_octets("SAST1")).header.signer == "CN=SAST1;OU=Voice;O=Lab;C=US"


def test_the_next_list_must_be_signed_by_a_sast_of_the_one_held() -> None:
    held = (mixed_mode_ctl(),)
    assert validate_list(ctl_octets("SAST2", sast("SAST3")), held)
    error = refused(validate_list, ctl_octets("STRANGER"), held)
    assert error.rule is Rule.SIGNER_UNKNOWN
    assert error.signer == "CN=STRANGER;OU=Voice;O=Lab;C=US"


def test_a_name_and_a_serial_number_alone_prove_nothing() -> None:
    """A stranger's certificate with the names and the serial number of the one held."""
    stranger = signer("SAST1", bits=2048)
    forged = sign_list([record_of(stranger.certificate, Role.SAST)], stranger, NOW)
    assert validate_list(forged).header.signer == mixed_mode_ctl().header.signer
    assert refused(validate_list, forged, (mixed_mode_ctl(),)).rule is Rule.DIGEST


def test_a_second_sast_lets_the_first_be_rotated() -> None:
    """Old list: 1 and 2. The next is signed by 2 and lists 2 and 3; the one after may be signed by 3."""
    first = validate_list(ctl_octets("SAST1", sast("SAST2")))
    second = validate_list(ctl_octets("SAST2", sast("SAST3")), (first,))
    assert validate_list(ctl_octets("SAST3", sast("SAST4")), (second,))
    assert refused(validate_list, ctl_octets("SAST1", sast("SAST2")), (second,)).rule is Rule.SIGNER_UNKNOWN


def test_a_listed_certificate_without_the_role_may_not_sign_lists() -> None:
    records = [sast("SAST1"), record_of(certificate("CCM1"), Role.CCM_TFTP)]
    data = sign_list(records, signer("CCM1"), NOW)
    error = refused(validate_list, data)
    assert error.rule is Rule.ROLE
    assert "listed as CCM+TFTP, and SAST has to sign CTLFile.tlv" in str(error)


@pytest.mark.parametrize("count", [0, 3])
def test_one_or_two_sasts(count: int) -> None:
    records = [sast(f"SAST{number}") for number in range(1, count + 1)] or [record_of(certificate("CCM1"), Role.CCM)]
    assert refused(validate_list, sign_list(records, signer("SAST1"), NOW)).rule is Rule.TWO_SAST


def test_a_record_must_have_the_key_of_its_certificate() -> None:
    lying = replace(record_of(certificate("CAPF-1"), Role.CAPF), public_key=sast("SAST2").public_key)
    assert refused(validate_list, ctl_octets("SAST1", lying)).rule is Rule.RECORD
    garbage = replace(lying, certificate=b"\x30\x03\x02\x01\x01")
    assert refused(validate_list, ctl_octets("SAST1", garbage)).rule is Rule.RECORD


def test_an_older_list_is_refused_only_by_those_who_ask() -> None:
    held = (mixed_mode_ctl(),)
    older = ctl_octets("SAST1", timestamp=NOW - 60)
    assert validate_list(older, held)
    error = refused(validate_list, older, held, refuse_older=True)
    assert (error.rule, "60 s older" in str(error)) == (Rule.OLDER, True)
    assert validate_list(ctl_octets("SAST1"), held, refuse_older=True)
    itl = sign_list([sast("SAST1")], signer("SAST1"), NOW - 60, file_name=ITL_NAME)
    assert validate_list(itl, held, refuse_older=True).is_itl


def test_a_signed_configuration_is_no_trust_list() -> None:
    records = ctl_octets("SAST1")[read_list(ctl_octets("SAST1")).envelope.header_length :]
    disguised = sign_file(records, CONFIG_NAME, signer("SAST1"), NOW)
    assert refused(validate_list, disguised).rule is Rule.FILE_NAME


def test_certificates_are_pinned_by_role() -> None:
    ctl = mixed_mode_ctl()
    capf = certificate("CAPF-1").public_bytes(Encoding.DER)
    assert ctl.vouches(capf, (Role.CAPF,)) is not None
    assert ctl.vouches(capf, SIP_SERVERS) is None
    assert ctl.vouches(certificate("CAPF-2").public_bytes(Encoding.DER), (Role.CAPF,)) is None


def test_every_bit_of_a_list_counts() -> None:
    """The receiver alone finds any single flipped bit, the three octets that no signature covers included."""
    data = sign_list([sast("SAST1"), stub_of(Role.CAPF, "c")], signer("SAST1"), NOW)
    assert len(validate_list(data).records) == 2
    for place in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(TrustListError):
            validate_list(bytes(flipped))


@pytest.mark.parametrize("digest", Digest)
def test_a_signed_file_comes_back_unchanged(digest: Digest) -> None:
    data = sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW, digest)
    assert validate_signed(data, (mixed_mode_ctl(),), CONFIG_NAME).payload == CONFIG
    assert validate_signed_by(data, [certificate("CCM1")], CONFIG_NAME).payload == CONFIG
    assert read_signed(data).header.version == (1, 0)


def test_only_a_file_server_may_sign_files() -> None:
    by_sast = sign_file(CONFIG, CONFIG_NAME, signer("SAST1"), NOW)
    assert refused(validate_signed, by_sast, (mixed_mode_ctl(),), CONFIG_NAME).rule is Rule.ROLE
    by_stranger = sign_file(CONFIG, CONFIG_NAME, signer("STRANGER", serial=7), NOW)
    assert refused(validate_signed, by_stranger, (mixed_mode_ctl(),), CONFIG_NAME).rule is Rule.SIGNER_UNKNOWN
    assert refused(validate_signed_by, by_stranger, [certificate("CCM1")], CONFIG_NAME).rule is Rule.SIGNER_UNKNOWN


def test_another_phones_file_is_refused() -> None:
    data = sign_file(CONFIG, "SEP00112233445A.cnf.xml.sgn", signer("CCM1"), NOW)
    assert refused(validate_signed, data, (mixed_mode_ctl(),), CONFIG_NAME).rule is Rule.FILE_NAME
    assert refused(validate_signed_by, data, [certificate("CCM1")], CONFIG_NAME).rule is Rule.FILE_NAME


def test_one_serial_number_of_two_certificates_is_decided_by_the_signature() -> None:
    data = sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW)
    both = [certificate("CCM2"), certificate("CCM1")]  # the same serial number
    assert validate_signed_by(data, both, CONFIG_NAME)
    assert refused(validate_signed_by, data, both[:1], CONFIG_NAME).rule is Rule.DIGEST


def test_a_key_that_is_not_rsa_verifies_nothing() -> None:
    data = sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW)
    error = refused(validate_signed_by, data, [certificate("CCM1-EC", curve=True)], CONFIG_NAME)
    assert (error.rule, "not RSA" in str(error)) == (Rule.DIGEST, True)


def test_every_bit_of_a_signed_file_counts() -> None:
    data = sign_file(b"<a/>", "X.sgn", signer("CCM1"), NOW)
    for place in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(TrustListError):
            validate_signed(bytes(flipped), (mixed_mode_ctl(),), "X.sgn")


KEY, IV = bytes(range(16)), bytes(range(16, 32))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
@pytest.mark.parametrize("digest", [Digest.SHA1, Digest.SHA512])
def test_an_encrypted_file_is_for_one_device(size: int, digest: Digest) -> None:
    plain = b"x" * size
    data = encrypt_file(
        plain, "A.enc.sgn", signer("CCM1"), NOW, certificate("SEP001122334455"), key=KEY, iv=IV, digest=digest
    )
    envelope = validate_encrypted(data, (mixed_mode_ctl(),), "A.enc.sgn")
    assert envelope.header.version == (2, 0)
    assert envelope.header.encryption is not None
    assert envelope.header.encryption.padding == 16 - size % 16
    assert decrypt(envelope, rsa_key("SEP001122334455")) == plain
    assert refused(decrypt, envelope, rsa_key("SEP00112233445A")).rule in (Rule.KEY, Rule.DIGEST)
    assert refused(read_signed, data).rule is Rule.VERSION
    assert refused(read_list, data).rule is Rule.VERSION


def tampered(data: bytes, find: bytes, put: bytes) -> bytes:
    """An encrypted file with other octets in its header, and signed by nobody."""
    assert data.count(find) == 1
    return data.replace(find, put)


def test_what_decrypts_to_something_else_is_refused() -> None:
    device, key = certificate("SEP001122334455"), rsa_key("SEP001122334455")
    data = encrypt_file(b"x" * 17, "A.enc.sgn", signer("CCM1"), NOW, device, key=KEY, iv=IV)
    assert refused(decrypt, read_encrypted(tampered(data, IV, KEY)), key).rule is Rule.DIGEST
    shorter = tampered(data, b"\x14\x00\x02\x00\x0f", b"\x14\x00\x02\x00\x0e")
    assert refused(decrypt, read_encrypted(shorter), key).rule is Rule.DIGEST
    assert refused(read_encrypted, data[:-1]).rule is Rule.MALFORMED
    assert (
        refused(read_encrypted, tampered(data, b"\x14\x00\x02\x00\x0f", b"\x14\x00\x02\x00\x11")).rule is Rule.MALFORMED
    )
    assert refused(validate_encrypted, data, (mixed_mode_ctl(),), "B.enc.sgn").rule is Rule.FILE_NAME


def test_a_session_key_of_another_length_is_refused() -> None:
    device, key = certificate("SEP001122334455"), rsa_key("SEP001122334455")
    data = encrypt_file(b"x", "A.enc.sgn", signer("CCM1"), NOW, device, key=KEY, iv=IV)
    envelope = read_encrypted(data)
    assert envelope.header.encryption is not None
    for wrapped in (key.public_key().encrypt(b"short", PKCS1v15()), b"no modulus"):
        other = replace(envelope.header, encryption=replace(envelope.header.encryption, key=wrapped))
        assert refused(decrypt, replace(envelope, header=other), key).rule is Rule.KEY


def test_only_rsa_devices_and_encrypted_files() -> None:
    with pytest.raises(LocalProtocolError, match="RSA certificate"):
        encrypt_file(b"", "A", signer("CCM1"), NOW, certificate("EC", curve=True), key=KEY, iv=IV)
    with pytest.raises(LocalProtocolError, match="read_encrypted"):
        decrypt(read_signed(sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW)), rsa_key("CCM1"))


def test_a_plain_file_is_not_taken_for_an_encrypted_one() -> None:
    assert refused(read_encrypted, sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW)).rule is Rule.VERSION


def test_keys_that_cannot_sign_are_refused_before_anything_is_served() -> None:
    curve = certificate("EC", curve=True)
    with pytest.raises(TrustError, match="RSA keys of 1024, 2048 or 4096"):
        Signer(curve, ec_key("EC"))  # type: ignore[arg-type]
    with pytest.raises(TrustError, match="RSA keys"):
        Signer(certificate("RSA3072", bits=3072), rsa_key("RSA3072", 3072))
    with pytest.raises(TrustError, match="does not belong"):
        Signer(certificate("SAST1"), rsa_key("SAST2"))


def test_a_signer_does_not_show_its_key() -> None:
    assert "RSAPrivateKey" not in repr(signer("SAST1"))


@pytest.mark.parametrize("digest", Digest)
@pytest.mark.parametrize("bits", [1024, 2048])
def test_openssl_verifies_what_we_sign(tmp_path: Path, bits: int, digest: Digest) -> None:
    """The command line of OpenSSL over the file with element 12 cut out."""
    by = signer("SAST-OPENSSL", bits)
    data = sign_list([record_of(by.certificate, Role.SAST)], by, NOW, digest=digest)
    cut = data.index(b"\x0c" + (bits // 8).to_bytes(2, "big"))
    (tmp_path / "signature").write_bytes(data[cut + 3 : cut + 3 + bits // 8])
    (tmp_path / "signed").write_bytes(data[:cut] + data[cut + 3 + bits // 8 :])
    pem = by.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    command = f"openssl dgst -{digest.hash_name} -verify key.pem -signature signature signed"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("Verified OK", 0)


def test_we_verify_what_openssl_signs(tmp_path: Path) -> None:
    """The other way round: OpenSSL makes the signature of a file that we then believe."""
    by = signer("CCM1")
    data = sign_file(CONFIG, CONFIG_NAME, by, NOW, Digest.SHA512)
    cut = data.index(b"\x0c\x00\x80")
    (tmp_path / "signed").write_bytes(data[:cut] + data[cut + 131 :])
    pem = by.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    command = "openssl dgst -sha512 -sign key.pem -out signature signed"
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    theirs = data[: cut + 3] + (tmp_path / "signature").read_bytes() + data[cut + 131 :]
    assert validate_signed(theirs, (mixed_mode_ctl(),), CONFIG_NAME).payload == CONFIG
    assert {record.role for record in mixed_mode_ctl().with_role(*FILE_SIGNERS)} == {Role.CCM_TFTP}
