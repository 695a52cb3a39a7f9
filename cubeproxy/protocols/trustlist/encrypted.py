"""`.enc.sgn`: a configuration encrypted to one device (header version 2.0).

AES-128-CBC; the padding is 1 to 16 octets of 0x0D; the AES key is wrapped by RSA PKCS#1 v1.5 to the device's LSC or,
without one, its MIC. The signature is over header and cipher text, so it is checked before anything is decrypted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.trustlist.header import read_envelope
from cubeproxy.protocols.trustlist.model import (
    ENCRYPTED_VERSION,
    FILE_SIGNERS,
    Digest,
    Encryption,
    Envelope,
    TrustList,
)
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.signing import Signer, public_key, sign
from cubeproxy.protocols.trustlist.validate import check_name, check_signer

BLOCK = 16
FILLER = b"\r"


def read_encrypted(data: bytes) -> Envelope:
    """TrustListError unless the header describes an encrypted payload of whole blocks."""
    envelope = read_envelope(data)
    if envelope.header.encryption is None:
        raise TrustListError(Rule.VERSION, "the file is not encrypted")
    size = len(data) - envelope.header_length
    if not size or size % BLOCK:
        raise TrustListError(Rule.MALFORMED, f"{size} octets of cipher text are no whole blocks")
    return envelope


def validate_encrypted(data: bytes, held: Sequence[TrustList], file_name: str) -> Envelope:
    envelope = read_encrypted(data)
    check_signer(envelope, held, FILE_SIGNERS)
    check_name(envelope, file_name)
    return envelope


def encrypt_file(
    plain: bytes,
    file_name: str,
    signer: Signer,
    timestamp: int,
    device: x509.Certificate,
    *,
    key: bytes,
    iv: bytes,
    digest: Digest = Digest.SHA1,
) -> bytes:
    """`key` and `iv` are 16 fresh random octets each, from the caller."""
    device_key = public_key(device)
    if not isinstance(device_key, rsa.RSAPublicKey):
        raise LocalProtocolError("a configuration can be encrypted to an RSA certificate only")
    count = BLOCK - len(plain) % BLOCK
    encryptor = _cipher(key, iv).encryptor()
    payload = encryptor.update(plain + FILLER * count) + encryptor.finalize()
    encryption = Encryption(
        iv=iv,
        padding=count,
        key=device_key.encrypt(key, padding.PKCS1v15()),
        digest=digest,
        plain_digest=_digest(digest, plain),
    )
    return sign(
        signer,
        payload,
        version=ENCRYPTED_VERSION,
        file_name=file_name,
        timestamp=timestamp,
        digest=digest,
        encryption=encryption,
    )


def decrypt(envelope: Envelope, device_key: rsa.RSAPrivateKey) -> bytes:
    """The plain text. TrustListError (key, digest) when it was encrypted to another key."""
    encryption = envelope.header.encryption
    if encryption is None:
        raise LocalProtocolError("decrypt wants what read_encrypted gives")
    try:
        key = device_key.decrypt(encryption.key, padding.PKCS1v15())
    except ValueError:
        raise TrustListError(Rule.KEY, "the session key is not for this device's key") from None
    if len(key) != BLOCK:
        raise TrustListError(Rule.KEY, "the session key is not for this device's key")
    decryptor = _cipher(key, encryption.iv).decryptor()
    padded = decryptor.update(envelope.payload) + decryptor.finalize()
    plain, filler = padded[: -encryption.padding], padded[-encryption.padding :]
    fits = hmac.compare_digest(_digest(encryption.digest, plain), encryption.plain_digest)
    if not fits or filler != FILLER * encryption.padding:
        raise TrustListError(Rule.DIGEST, "what was decrypted is not what was encrypted")
    return plain


def _cipher(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES128(key), modes.CBC(iv))


def _digest(digest: Digest, plain: bytes) -> bytes:
    return hashlib.new(digest.hash_name, plain, usedforsecurity=False).digest()
