"""Enrolment as a ladder: our client on one side, the lab's authority (NDES dialect) on the other, no sockets."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cubelab.pki.authority import CAPABILITIES, Authority, make_authority
from cubelab.pki.issue import Issued
from cubeproxy.pki.request import IPSEC_END_SYSTEM, TEMPLATES, alternatives, make_request, parse_subject
from cubeproxy.pki.scep import cms
from cubeproxy.pki.scep.client import MOST_POLLS, Ask, Enrolled, Enrolment, Wait, checked_url, operation_url
from cubeproxy.pki.scep.cms import ScepError
from cubeproxy.pki.scep.messages import Identity, Kind, Message, Status, read, write
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "http://ca.example/certsrv/mscep/mscep.dll"
SUBJECT = parse_subject("cn=cube.lab.example, o=cubeproxy lab")
TEMPLATE = TEMPLATES["web-server-x509v3"]


@pytest.fixture(scope="module")
def made() -> Authority:
    return make_authority(NOW)


@pytest.fixture
def authority(made: Authority) -> Authority:
    return Authority(made.ca, made.encryption, made.signing)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def enrolment(
    authority: Authority, key: rsa.RSAPrivateKey, password: str | None = None, old: Identity | None = None
) -> Enrolment:
    if password is None:
        password = authority.new_password(NOW)
    names = alternatives(["cube.lab.example", "192.0.2.1", "dns:sip.lab.example"])
    request = make_request(key, SUBJECT, names, TEMPLATE, password)
    return Enrolment(URL, request, key, [authority.ca.certificate], NOW, old)


def answer(authority: Authority, ask: Ask, now: datetime = NOW) -> tuple[int, bytes]:
    query = parse_qs(urlsplit(ask.url).query)
    found = authority.handle(query["operation"][0], query.get("message", [""])[0], ask.body or b"", now)
    return found.status, found.body


def played(client: Enrolment, authority: Authority) -> Enrolled | Wait:
    step: object = client.start()
    while isinstance(step, Ask):
        step = client.receive(*answer(authority, step))
    assert isinstance(step, Enrolled | Wait)
    return step


@pytest.mark.parametrize(
    "capabilities",
    [CAPABILITIES, ("SCEPStandard",), ("POSTPKIOperation", "SHA-256", "DES3"), ("DES3",), ()],
    ids=["ndes", "standard", "des3", "get", "silent"],
)
def test_a_certificate_with_the_names_asked_for_and_the_use_of_the_template(
    authority: Authority, key: rsa.RSAPrivateKey, capabilities: tuple[str, ...]
) -> None:
    authority.capabilities = capabilities
    enrolled = played(enrolment(authority, key), authority)
    assert isinstance(enrolled, Enrolled)
    leaf = enrolled.chain[0]
    assert leaf.public_key() == key.public_key()
    assert leaf.subject == SUBJECT
    leaf.verify_directly_issued_by(authority.ca.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cube.lab.example", "sip.lab.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, IPSEC_END_SYSTEM}


def test_what_is_sent_depends_on_what_the_authority_can(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    def operation() -> Ask:
        client = enrolment(authority, key)
        step = client.receive(*answer(authority, client.start()))
        assert isinstance(step, Ask)
        step = client.receive(*answer(authority, step))
        assert isinstance(step, Ask)
        return step

    assert operation().body is not None
    authority.capabilities = ("SHA-256",)
    asked = operation()
    assert asked.body is None
    assert "message=" in asked.url


def test_a_password_is_good_once_and_for_an_hour(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    password = authority.new_password(NOW)
    assert isinstance(played(enrolment(authority, key, password), authority), Enrolled)
    for wrong in (password, "", "0000", authority.new_password(NOW - timedelta(minutes=61))):
        with pytest.raises(TrustError, match="badRequest") as refused:
            played(enrolment(authority, key, wrong), authority)
        assert "challenge password" in refused.value.fix


def test_an_authority_that_is_not_the_trustpoints_is_refused(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    stranger = make_authority(NOW)
    client = enrolment(authority, key)
    with pytest.raises(TrustError, match="is not the authority that the trustpoint has"):
        played(client, stranger)


def test_an_answer_signed_by_a_stranger_is_refused(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    authority.answer_as = make_authority(NOW).signing
    with pytest.raises(TrustError, match="not under the authority"):
        played(enrolment(authority, key), authority)


def test_a_request_waits_until_somebody_approves_it(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    authority.pending = True
    client = enrolment(authority, key)
    assert isinstance(played(client, authority), Wait)
    step = client.receive(*answer(authority, client.poll()))
    assert isinstance(step, Wait)
    assert authority.approve(NOW) == 1
    step = client.receive(*answer(authority, client.poll()))
    assert isinstance(step, Enrolled)
    assert step.chain[0].public_key() == key.public_key()


def test_nobody_polls_for_ever(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    authority.pending = True
    client = enrolment(authority, key)
    played(client, authority)
    for _ in range(MOST_POLLS - 1):
        assert isinstance(client.receive(*answer(authority, client.poll())), Wait)
    last = answer(authority, client.poll())
    with pytest.raises(TrustError, match="has not decided"):
        client.receive(*last)


def test_a_renewal_needs_no_password(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    first = played(enrolment(authority, key), authority)
    assert isinstance(first, Enrolled)
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    renewed = played(enrolment(authority, fresh, "", Identity(first.chain[0], key)), authority)
    assert isinstance(renewed, Enrolled)
    assert renewed.chain[0].public_key() == fresh.public_key()


def test_an_old_answer_is_not_taken_again(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    """A replay has another nonce."""
    client = enrolment(authority, key)
    asks = [client.start()]
    for _ in range(2):
        step = client.receive(*answer(authority, asks[-1]))
        assert isinstance(step, Ask)
        asks.append(step)
    old = answer(authority, asks[-1])
    again = enrolment(authority, key)
    again.receive(*answer(authority, again.start()))
    again.receive(*answer(authority, asks[1]))
    with pytest.raises(ScepError, match="nonce"):
        again.receive(*old)


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_http_error_says_what_to_look_at(authority: Authority, key: rsa.RSAPrivateKey, status: int) -> None:
    client = enrolment(authority, key)
    client.receive(status, b"")
    with pytest.raises(TrustError, match=f"HTTP {status}") as refused:
        client.receive(status, b"<html>")
    assert "NDES" in refused.value.fix


def test_keys_that_cannot_decrypt_are_refused_before_anything_is_sent(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = make_request(key, SUBJECT, [], TEMPLATE)
    with pytest.raises(TrustError, match="RSA"):
        Enrolment(URL, request, key, [authority.ca.certificate], NOW)  # type: ignore[arg-type]


def test_urls_as_routers_have_them() -> None:
    assert operation_url(URL, "GetCACaps") == f"{URL}/pkiclient.exe?operation=GetCACaps"
    assert (
        operation_url("http://ca/scep", "PKIOperation", "a+/=")
        == "http://ca/scep?operation=PKIOperation&message=a%2B%2F%3D"
    )
    for wrong in (
        "ftp://ca/",
        "file:///etc/passwd",
        "ca.example",
        "http://",
        "http://user:pw@ca/",
        "http://" + "a" * 600,
    ):
        with pytest.raises(TrustError):
            checked_url(wrong)


# the message layer


def test_openssl_reads_what_we_sign_and_envelope(authority: Authority, tmp_path: Path) -> None:
    """An independent implementation of CMS."""
    signer = authority.encryption
    assert isinstance(signer.key, rsa.RSAPrivateKey)
    identity = Identity(signer.certificate, signer.key)
    for cipher in cms.CIPHERS:
        plain = b"the request " * 50
        message = Message(Kind.REQUEST, "ABC", b"n" * 16, content=cms.encrypt(plain, signer.certificate, cipher))
        (tmp_path / "message.der").write_bytes(write(message, identity))
        (tmp_path / "key.pem").write_bytes(signer.key_pem)
        (tmp_path / "cert.pem").write_bytes(signer.certificate_pem)
        inner = openssl(
            tmp_path,
            "cms",
            "-verify",
            "-noverify",
            "-inform",
            "DER",
            "-in",
            "message.der",
            "-binary",
            "-signer",
            "s.pem",
        )
        (tmp_path / "inner.der").write_bytes(inner)
        words = ("-inform", "DER", "-in", "inner.der", "-inkey", "key.pem", "-recip", "cert.pem", "-binary")
        legacy = ("-provider", "legacy", "-provider", "default")
        assert openssl(tmp_path, "cms", "-decrypt", *words, *legacy) == plain


def test_we_read_what_openssl_envelopes(authority: Authority, tmp_path: Path) -> None:
    key = authority.encryption.key
    assert isinstance(key, rsa.RSAPrivateKey)
    (tmp_path / "cert.pem").write_bytes(authority.encryption.certificate_pem)
    (tmp_path / "plain").write_bytes(b"x" * 1000)
    for cipher in ("-aes128", "-aes256", "-des3"):
        words = ("-encrypt", cipher, "-in", "plain", "-outform", "DER", "-binary", "cert.pem")
        assert cms.decrypt(openssl(tmp_path, "cms", *words), key) == b"x" * 1000


def openssl(folder: Path, *words: str) -> bytes:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def signed(authority: Authority) -> tuple[bytes, Issued]:
    signer = authority.signing
    assert isinstance(signer.key, rsa.RSAPrivateKey)
    message = Message(Kind.REPLY, "T1", b"s" * 16, b"r" * 16, Status.FAILURE, "2", b"content")
    return write(message, Identity(signer.certificate, signer.key)), signer


def test_a_message_comes_back_as_it_was(authority: Authority) -> None:
    data, signer = signed(authority)
    message, found = read(data)
    assert found == signer.certificate
    assert message == Message(Kind.REPLY, "T1", b"s" * 16, b"r" * 16, Status.FAILURE, "2", b"content")


@pytest.mark.filterwarnings("ignore:Parsed a")
def test_no_changed_octet_changes_what_is_believed(authority: Authority) -> None:
    """Refused, or the same message by the same signer: what is not signed decides nothing."""
    data, signer = signed(authority)
    whole = read(data)
    refused = 0
    for position in range(len(data)):
        spoilt = bytearray(data)
        spoilt[position] ^= 0x01
        try:
            message, found = read(bytes(spoilt))
        except RemoteProtocolError:
            refused += 1
        else:
            assert replace(message) == whole[0], position
            assert found.public_key() == signer.certificate.public_key(), position
    assert refused > len(data) // 2


def test_cut_anywhere_it_is_refused(authority: Authority) -> None:
    data, _ = signed(authority)
    for length in range(0, len(data), 7):
        with pytest.raises(ScepError):
            read(data[:length])


def test_another_key_opens_nothing(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    """Refused, or nonsense whose padding is right by chance; the signature outside is the proof."""
    closed = cms.encrypt(b"secret", authority.encryption.certificate, "aes128_cbc")
    opened, refusals = set(), list[str]()
    for _ in range(20):
        try:
            opened.add(cms.decrypt(closed, key))
        except ScepError as error:
            refusals.append(str(error))
    assert b"secret" not in opened
    assert len(refusals) > 10
    assert set(refusals) == {"the envelope is not for this key, or damaged"}


def test_a_request_has_what_the_template_says(key: rsa.RSAPrivateKey) -> None:
    request = make_request(
        key, SUBJECT, alternatives([f"node{number}.lab.example" for number in range(9)]), TEMPLATE, "pw"
    )
    assert request.is_signature_valid
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert usage.key_encipherment
    assert usage.data_encipherment
    assert not usage.key_agreement
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(names.get_values_for_type(x509.DNSName)) == 9
    assert request.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("wrong", ["", "cn", "x=1", "cn=a,,o=b", "c=USA"])
def test_what_is_no_subject(wrong: str) -> None:
    with pytest.raises(TrustError):
        parse_subject(wrong)


@pytest.mark.parametrize("wrong", ["", "dns:", "ip:1.2.3", "a b", "dns:ex\nample", "ip:cube", "-x"])
def test_what_is_no_alternative_name(wrong: str) -> None:
    with pytest.raises(TrustError):
        alternatives([wrong])
