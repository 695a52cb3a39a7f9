"""Requests in order and out of order, and requests that somebody changed."""

from __future__ import annotations

import pytest
from asn1crypto import csr
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.pki.certification_request import BadRequest, read_request
from cubeproxy.pki.request import TEMPLATES, alternatives, make_request, parse_subject

SUBJECT = parse_subject("cn=cube, o=lab")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def made(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    request = make_request(key, SUBJECT, alternatives(["a.example"]), TEMPLATES["router"], "password")
    return request.public_bytes(Encoding.DER)


def out_of_order(der: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Its attributes the other way round, signed again, as programs do that write a SET as a list."""
    request = csr.CertificationRequest.load(der)
    info = request["certification_request_info"]
    body = info.dump()
    attributes = [one.dump() for one in info["attributes"]]
    assert len(attributes) == 2
    start = body.index(attributes[0])
    assert body[start:] == b"".join(attributes)
    turned = body[:start] + b"".join(reversed(attributes))
    request["certification_request_info"] = csr.CertificationRequestInfo.load(turned)
    request["signature"] = key.sign(turned, padding.PKCS1v15(), hashes.SHA256())
    return bytes(request.dump())


def test_a_request_in_any_order_says_the_same(key: rsa.RSAPrivateKey) -> None:
    der = made(key)
    turned = out_of_order(der, key)
    with pytest.raises(ValueError, match="InvalidSetOrdering"):
        x509.load_der_x509_csr(turned)
    for form in (der, turned):
        request = read_request(form)
        assert request.subject == SUBJECT
        assert request.public_key() == key.public_key()
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["a.example"]
        found = request.attributes.get_attribute_for_oid(x509.oid.AttributeOID.CHALLENGE_PASSWORD)
        assert found.value == b"password"


def test_an_elliptic_key_signs_too() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    assert read_request(made(key)).public_key() == key.public_key()


def test_a_changed_octet_is_found(key: rsa.RSAPrivateKey) -> None:
    der = made(key)
    whole = read_request(der)
    for position in range(len(der)):
        spoilt = bytearray(der)
        spoilt[position] ^= 0x01
        try:
            found = read_request(bytes(spoilt))
        except BadRequest:
            continue
        assert (found.subject, found.public_key()) == (whole.subject, whole.public_key()), position
        assert found.tbs_certrequest_bytes == whole.tbs_certrequest_bytes, position
