"""The two CMS layers of a SCEP message (RFC 5652): what is signed, around what is enveloped for one recipient.

`cryptography` signs and opens; the structures are asn1crypto's, since `cryptography` has no signed attributes of one's
own, and no 3DES, which NDES still answers with. Every failure is a ScepError; how an envelope failed is not said.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asn1crypto import cms, core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding

from cubeproxy.protocols.errors import RemoteProtocolError

DIGESTS: Mapping[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - what old authorities sign with; nothing hinges on it but old authorities
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
CIPHERS = {"aes128_cbc": (16, 16), "aes256_cbc": (32, 16), "tripledes_3key": (24, 8)}  # octets of key and of block
SIGNATURES = ("rsassa_pkcs1v15", *(f"{name}_rsa" for name in DIGESTS))

# Attributes of SCEP (RFC 8894 3.2.1), by asn1crypto's way of naming what it does not know.
MESSAGE_TYPE, STATUS, FAILURE = "scep_message_type", "scep_status", "scep_failure"
SENDER_NONCE, RECIPIENT_NONCE, TRANSACTION = "scep_sender_nonce", "scep_recipient_nonce", "scep_transaction"
TEXTS = (MESSAGE_TYPE, STATUS, FAILURE, TRANSACTION)
_OIDS = {
    MESSAGE_TYPE: 2,
    STATUS: 3,
    FAILURE: 4,
    SENDER_NONCE: 5,
    RECIPIENT_NONCE: 6,
    TRANSACTION: 7,
}


class ScepError(RemoteProtocolError):
    """What the other end sent is no SCEP, or not for us."""


class _Texts(core.SetOf):  # type: ignore[misc]
    _child_spec = core.PrintableString


class _Octets(core.SetOf):  # type: ignore[misc]
    _child_spec = core.OctetString


for _name, _number in _OIDS.items():
    cms.CMSAttributeType._map[f"2.16.840.1.113733.1.9.{_number}"] = _name
    cms.CMSAttribute._oid_specs[_name] = _Texts if _name in TEXTS else _Octets


Attributes = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Signed:
    """A signature that was right. Whether its signer is to be believed is the caller's to say."""

    content: bytes = field(repr=False)
    signer: x509.Certificate
    attributes: Attributes
    certificates: tuple[x509.Certificate, ...]


# signed


def sign(
    content: bytes, certificate: x509.Certificate, key: rsa.RSAPrivateKey, attributes: Attributes, digest: str
) -> bytes:
    """SignedData with the signer's certificate in it."""
    hasher = hashes.Hash(DIGESTS[digest])
    hasher.update(content)
    values: list[tuple[str, object]] = [("content_type", "data"), ("message_digest", hasher.finalize())]
    values += attributes.items()
    signed = cms.CMSAttributes([cms.CMSAttribute({"type": name, "values": [value]}) for name, value in values])
    signature = key.sign(signed.dump(), padding.PKCS1v15(), DIGESTS[digest])
    own = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
    info = {
        "version": "v1",
        "sid": _identifier(own),
        "digest_algorithm": {"algorithm": digest},
        "signed_attrs": signed,
        "signature_algorithm": {"algorithm": "rsassa_pkcs1v15"},
        "signature": signature,
    }
    data = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": digest}],
        "encap_content_info": {"content_type": "data", "content": content},
        "certificates": [own],
        "signer_infos": [info],
    }
    return _wrapped("signed_data", cms.SignedData(data))


def verify(data: bytes) -> Signed:
    """ScepError unless one signer made a signature with a certificate that is in the message."""
    signed = _content(data, "signed_data")
    try:
        infos = list(signed["signer_infos"])
        content = signed["encap_content_info"]["content"].native or b""
        certificates = _certificates(signed)
        if len(infos) != 1:
            raise ScepError(f"a SCEP message with {len(infos)} signers")
        signer = _signer(infos[0], certificates)
        attributes = {one["type"].native: one["values"][0].native for one in infos[0]["signed_attrs"]}
        _check(infos[0], content, attributes, signer)
    except UNREADABLE as error:
        raise ScepError(f"a signed message cannot be read: {type(error).__name__}") from None
    return Signed(content, signer, {name: attributes[name] for name in _OIDS if name in attributes}, certificates)


def _check(info: cms.SignerInfo, content: bytes, attributes: Mapping[str, object], signer: x509.Certificate) -> None:
    name = info["digest_algorithm"]["algorithm"].native
    if name not in DIGESTS:
        raise ScepError(f"a digest ({name}) that is not taken here")
    hasher = hashes.Hash(DIGESTS[name])
    hasher.update(content)
    if attributes.get("message_digest") != hasher.finalize():
        raise ScepError("the digest in the message is not that of its content")
    signature, octets = info["signature"].native, info["signed_attrs"].untag().dump()
    key = signer.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and info["signature_algorithm"]["algorithm"].native in SIGNATURES:
            key.verify(signature, octets, padding.PKCS1v15(), DIGESTS[name])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, octets, ec.ECDSA(DIGESTS[name]))
        else:
            raise ScepError("the signature is of a kind that is not taken here")
    except InvalidSignature:
        raise ScepError("the signature of the message is wrong") from None


def _signer(info: cms.SignerInfo, certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    wanted = info["sid"].chosen
    for certificate in certificates:
        own = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
        if wanted.native == _identifier(own).chosen.native:
            return certificate
    raise ScepError("the signer's certificate is not in the message")


# enveloped


def encrypt(content: bytes, recipient: x509.Certificate, cipher: str) -> bytes:
    """EnvelopedData for an RSA certificate. ScepError for another."""
    key = recipient.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ScepError("SCEP encrypts to RSA keys only, and the recipient has another")
    length, block = CIPHERS[cipher]
    secret, vector = secrets.token_bytes(length), secrets.token_bytes(block)
    padder = PKCS7(block * 8).padder()
    padded = padder.update(content) + padder.finalize()
    encryptor = _cipher(cipher, secret, vector).encryptor()
    own = asn1.Certificate.load(recipient.public_bytes(Encoding.DER))
    transport = cms.KeyTransRecipientInfo(
        {
            "version": "v0",
            "rid": cms.RecipientIdentifier({"issuer_and_serial_number": _identifier(own).chosen}),
            "key_encryption_algorithm": {"algorithm": "rsaes_pkcs1v15"},
            "encrypted_key": key.encrypt(secret, padding.PKCS1v15()),
        }
    )
    data = {
        "version": "v0",
        "recipient_infos": [cms.RecipientInfo({"ktri": transport})],
        "encrypted_content_info": {
            "content_type": "data",
            "content_encryption_algorithm": {"algorithm": cipher, "parameters": core.OctetString(vector)},
            "encrypted_content": encryptor.update(padded) + encryptor.finalize(),
        },
    }
    return _wrapped("enveloped_data", cms.EnvelopedData(data))


def decrypt(data: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """What was enveloped to this key. ScepError, always the same, whatever went wrong inside.

    An envelope has no seal of its own: of one that is not for this key nonsense may come out, where its padding happens
    to be right. It is the signature around the envelope that proves who closed it.
    """
    enveloped = _content(data, "enveloped_data")
    try:
        info = enveloped["encrypted_content_info"]
        name = info["content_encryption_algorithm"]["algorithm"].native
        if name not in CIPHERS:
            raise ScepError(f"a cipher ({name}) that is not taken here")
        vector = info["content_encryption_algorithm"]["parameters"].native
        octets = info["encrypted_content"].native
        secret = _secret(enveloped, key, CIPHERS[name][0])
        decryptor = _cipher(name, secret, vector).decryptor()
        unpadder = PKCS7(CIPHERS[name][1] * 8).unpadder()
        plain = unpadder.update(decryptor.update(octets) + decryptor.finalize())
        return plain + unpadder.finalize()
    except UNREADABLE:
        raise ScepError("the envelope is not for this key, or damaged") from None


def _secret(enveloped: cms.EnvelopedData, key: rsa.RSAPrivateKey, length: int) -> bytes:
    """The content key. A wrong one of the right length comes out where nothing can be opened (RFC 3218 2.3)."""
    for recipient in enveloped["recipient_infos"]:
        if recipient.name == "ktri":
            try:
                secret = key.decrypt(recipient.chosen["encrypted_key"].native, padding.PKCS1v15())
            except ValueError:
                continue
            if len(secret) == length:
                return secret
    return secrets.token_bytes(length)


def _cipher(name: str, secret: bytes, vector: bytes) -> Cipher[modes.CBC]:
    return Cipher(TripleDES(secret) if name == "tripledes_3key" else algorithms.AES(secret), modes.CBC(vector))


# certificates alone


def bundle(certificates: Sequence[x509.Certificate]) -> bytes:
    """A degenerate SignedData: certificates and nothing signed."""
    data = {
        "version": "v1",
        "digest_algorithms": [],
        "encap_content_info": {"content_type": "data"},
        "certificates": [asn1.Certificate.load(one.public_bytes(Encoding.DER)) for one in certificates],
        "signer_infos": [],
    }
    return _wrapped("signed_data", cms.SignedData(data))


def unbundle(data: bytes) -> tuple[x509.Certificate, ...]:
    return _certificates(_content(data, "signed_data"))


def _certificates(signed: cms.SignedData) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(
            x509.load_der_x509_certificate(one.chosen.dump())
            for one in signed["certificates"]
            if one.name == "certificate"
        )
    except UNREADABLE as error:
        raise ScepError(f"certificates cannot be read: {error}") from None


# both

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, UnsupportedAlgorithm, x509.InvalidVersion)


def _identifier(certificate: asn1.Certificate) -> cms.SignerIdentifier:
    issuer = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    return cms.SignerIdentifier({"issuer_and_serial_number": issuer})


def _wrapped(kind: str, content: object) -> bytes:
    return bytes(cms.ContentInfo({"content_type": kind, "content": content}).dump())


def _content(data: bytes, kind: str) -> core.Sequence:
    try:
        info = cms.ContentInfo.load(data, strict=True)
        found = info["content_type"].native
        content = info["content"]
    except UNREADABLE as error:
        raise ScepError(f"no CMS message: {error}") from None
    if found != kind:
        raise ScepError(f"a CMS message of kind {found}, {kind} was expected")
    return content
