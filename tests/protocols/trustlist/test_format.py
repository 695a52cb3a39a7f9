"""Reading and writing: round trips, foreign producers, and octets that were made to hurt."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.hashes import SHA1
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.trustlist import (
    Digest,
    Header,
    Record,
    Role,
    Rule,
    TrustListError,
    read_encrypted,
    read_envelope,
    read_list,
    read_signed,
    record_of,
    stub_of,
    validate_list,
)
from cubeproxy.protocols.trustlist.header import write_header
from cubeproxy.protocols.trustlist.records import write_record
from cubeproxy.protocols.trustlist.tlv import tlv
from tests.protocols.trustlist.makers import certificate, mixed_mode_ctl, name_of

octets = st.binary(max_size=40)
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
versions = st.tuples(st.integers(0, 255), st.integers(0, 255))
headers = st.builds(
    Header,
    version=st.tuples(st.just(1), st.integers(0, 255)),
    signer=words,
    serial=octets,
    issuer=words,
    digest=st.sampled_from(Digest),
    signature=st.sampled_from((64, 128, 256, 512)).map(bytes),
    file_name=words,
    timestamp=st.integers(0, 2**32 - 1),
    signer_version=st.none() | versions,
    encryption=st.none(),
)
records = st.builds(
    Record,
    role=st.integers(0, 0xFFFF),
    dns_name=st.none() | words,
    subject=st.none() | words,
    issuer=st.none() | words,
    serial=st.none() | octets,
    public_key=st.none() | octets,
    signature=st.none() | octets,
    certificate=st.none() | octets,
    address=st.none() | st.ip_addresses().map(str),
    certificate_hash=st.none() | octets,
    hash_algorithm=st.none() | st.integers(0, 255),
)
HEADER = Header((1, 2), "CN=A", b"\x9d", "CN=A", Digest.SHA1, bytes(128), "CTLFile.tlv", 1)


@given(headers, st.lists(records, max_size=4))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(header: Header, found: list[Record]) -> None:
    data = write_header(header) + b"".join(map(write_record, found))
    read = read_list(data)
    assert (read.header, list(read.records)) == (header, found)
    assert read.envelope.header_length % 4 == 0


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_hostile_octets_are_the_peers_fault(data: bytes) -> None:
    for reader in (read_envelope, read_list, read_signed, read_encrypted):
        with pytest.raises(RemoteProtocolError):
            reader(data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_list_is_the_peers_fault(data: st.DataObject) -> None:
    """Real lists, cut, patched and stretched: a list or a RemoteProtocolError, never anything else."""
    original = bytearray(mixed_mode_ctl().data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(original) - 1))
        size = data.draw(st.integers(0, 6))
        original[at : at + size] = data.draw(st.binary(max_size=6))
    try:
        validate_list(bytes(original))
    except RemoteProtocolError:
        return
    assert bytes(original) == mixed_mode_ctl().data


def test_every_cut_is_noticed() -> None:
    """A list cut between two records is a shorter list; only the signature tells (test_trust has it)."""
    data = mixed_mode_ctl().data
    for size in range(0, len(data), 7):
        with pytest.raises(TrustListError):
            validate_list(data[:size])


def test_a_record_that_is_cut_is_truncated() -> None:
    with pytest.raises(TrustListError, match="ends 1 octets too late") as caught:
        read_list(mixed_mode_ctl().data[:-1])
    assert caught.value.rule is Rule.TRUNCATED


def test_unknown_elements_are_skipped() -> None:
    body = write_record(stub_of(Role.CCM_TFTP, "ccm1"))[5:] + tlv(99, b"later")
    record = tlv(1, (5 + len(body)).to_bytes(2, "big")) + body
    front, back = write_header(HEADER), tlv(77, b"\x0d\x0d\x0d")
    signature = front.index(b"\x0c\x00\x80")
    data = bytearray(front[:signature] + back + front[signature:] + record)
    data[8:10] = (int.from_bytes(data[8:10], "big") + len(back)).to_bytes(2, "big")
    read = read_list(bytes(data))
    assert read.header == HEADER
    assert read.records == (stub_of(Role.CCM_TFTP, "ccm1"),)


def test_another_producers_order_is_read() -> None:
    """usecallmanager writes 28 before 3, and 4, 6, 5 inside it."""
    header = replace(HEADER, signer_version=(1, 1), signer="CN=A", issuer="CN=B")
    data = write_header(header)
    ours = tlv(4, b"CN=A\0") + tlv(5, b"\x9d") + tlv(6, b"CN=B\0")
    theirs = tlv(4, b"CN=A\0") + tlv(6, b"CN=B\0") + tlv(5, b"\x9d")
    assert ours in data
    assert read_envelope(data.replace(ours, theirs)).header == header


def damaged(find: bytes, put: bytes) -> bytes:
    data = write_header(HEADER)
    assert data.count(find) == 1
    return data.replace(find, put)


@pytest.mark.parametrize(
    ("data", "rule", "text"),
    [
        (b"", Rule.TRUNCATED, "no header"),
        (b"<?xml version='1.0'?>", Rule.MALFORMED, "does not begin"),
        (damaged(b"\x01\x00\x02\x01\x02", b"\x01\x00\x02\x03\x00"), Rule.VERSION, "3.0"),
        (damaged(b"\x08\x00\x01\x01", b"\x08\x00\x01\x04"), Rule.MALFORMED, "digest algorithm 4"),
        (damaged(b"\x08\x00\x01\x01", b"\x63\x00\x01\x01"), Rule.MALFORMED, "element 8"),
        (damaged(b"\x0b\x00\x01\x01", b"\x0b\x00\x01\x02"), Rule.MALFORMED, "does not fit modulus 2"),
        (damaged(b"\x0b\x00\x01\x01", b"\x0b\x00\x01\x09"), Rule.MALFORMED, "does not fit modulus 9"),
        (damaged(b"\x0a\x00\x01\x00", b"\x0a\x00\x01\x01"), Rule.MALFORMED, "not RSA"),
        (damaged(b"\x05\x00\x01\x9d", b"\x0f\x00\x01\x9d"), Rule.MALFORMED, "element 15 stands in 3"),
        (damaged(b"CTLFile.tlv\0", b"CTLFile.\0lv\0"), Rule.MALFORMED, "NUL inside"),
        (damaged(b"\x0f\x00\x04", b"\x0e\x00\x04"), Rule.MALFORMED, "twice"),
        (damaged(b"\x03\x00\x14", b"\x03\xff\x14"), Rule.TRUNCATED, "too late"),
        (write_header(HEADER)[:-1], Rule.TRUNCATED, "the header has"),
    ],
)
def test_each_broken_header_is_named(data: bytes, rule: Rule, text: str) -> None:
    with pytest.raises(TrustListError, match=text) as caught:
        read_envelope(data)
    assert caught.value.rule is rule


@pytest.mark.parametrize(
    ("record", "rule", "text"),
    [
        (b"\x01\x00", Rule.TRUNCATED, "has no length"),
        (b"\x02\x00\x02\x00\x05", Rule.MALFORMED, "no record begins"),
        (b"\x01\x00\x02\x00\x04", Rule.MALFORMED, "has 4 octets"),
        (b"\x01\x00\x02\x00\x05", Rule.MALFORMED, "no role"),
        (b"\x01\x00\x02\x00\x0b\x04\x00\x03\x00\x00\x00", Rule.MALFORMED, "3 octets instead of 2"),
        (b"\x01\x00\x02\x00\x0f" + 2 * b"\x04\x00\x02\x00\x00", Rule.MALFORMED, "twice"),
        (b"\x01\x00\x02\x00\x0e\x04\x00\x02\x00\x00\x0a\x00\x01\x7f", Rule.MALFORMED, "address of 1"),
    ],
)
def test_each_broken_record_is_named(record: bytes, rule: Rule, text: str) -> None:
    with pytest.raises(TrustListError, match=text) as caught:
        read_list(write_header(HEADER) + record)
    assert caught.value.rule is rule


def test_sizes_are_bounded() -> None:
    with pytest.raises(TrustListError) as caught:
        read_envelope(bytes(2 * 1024 * 1024 + 1))
    assert caught.value.rule is Rule.TOO_LARGE
    with pytest.raises(TrustListError) as caught:
        read_list(write_header(HEADER) + 1001 * write_record(Record(0)))
    assert caught.value.rule is Rule.TOO_LARGE


def test_what_has_no_number_cannot_be_written() -> None:
    with pytest.raises(LocalProtocolError, match="3072 bits"):
        write_header(replace(HEADER, signature=bytes(384)))
    with pytest.raises(LocalProtocolError, match="has no length"):
        write_record(Record(0, certificate=bytes(65500), public_key=bytes(64)))
    with pytest.raises(LocalProtocolError, match="element 9"):
        write_record(Record(0, certificate=bytes(70000)))


def test_names_are_spelt_as_cucm_does() -> None:
    """The certificate has C, O, OU, CN."""
    record = record_of(certificate("CAPF-1a2b3c4d"), Role.CAPF, "ccm1", "10.0.0.8")
    assert record.subject == record.issuer == "CN=CAPF-1a2b3c4d;OU=Voice;O=Lab;C=US"
    assert record.serial == b"\x9d\x01"  # the high bit is set, and no 00 stands before it
    assert name_of("x").rfc4514_string().startswith("CN=x")


@pytest.mark.parametrize(("bits", "size"), [(1024, 140), (2048, 270), (4096, 526)])
def test_rsa_keys_have_the_published_sizes(bits: int, size: int) -> None:
    record = record_of(certificate(f"RSA-{bits}", bits=bits), Role.CCM)
    assert (len(record.public_key or b""), len(record.signature or b"")) == (size, bits // 8)


def test_an_elliptic_curve_record_has_the_point() -> None:
    record = record_of(certificate("EC", curve=True), Role.TFTP)
    assert record.public_key is not None
    assert (len(record.public_key), record.public_key[0]) == (97, 4)


def test_a_stub_has_no_hash_and_is_found_by_role() -> None:
    ctl = mixed_mode_ctl()
    nodes = list(ctl.with_role(Role.CCM_TFTP))
    assert [(record.dns_name, record.stub) for record in nodes] == [("ccm1", False), ("ccm2", True)]
    assert nodes[1].fingerprint == ""
    assert nodes[0].fingerprint == certificate("CCM1").fingerprint(SHA1()).hex()


def test_a_key_that_no_record_can_have_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    builder = x509.CertificateBuilder().subject_name(name_of("ED")).issuer_name(name_of("ED")).serial_number(1)
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    with pytest.raises(TrustListError, match="neither RSA nor elliptic curve"):
        record_of(builder.public_key(key.public_key()).sign(key, None), Role.TFTP)


def test_the_fingerprint_is_what_a_phone_reports() -> None:
    """SHA-1 over the whole file."""
    ctl = mixed_mode_ctl()
    assert ctl.envelope.fingerprint == hashlib.sha1(ctl.data).hexdigest()
