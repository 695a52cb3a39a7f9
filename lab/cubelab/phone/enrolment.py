"""The phone's side of CAPF: prove who it is, make a key, take the certificate; or show it, or delete it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cubelab.phone.flash import Flash
from cubelab.pki.issue import Issued, PrivateKey, short_name
from cubeproxy.protocols.capf import (
    AuthMode,
    CertificateType,
    Client,
    Curve,
    DeleteCertificate,
    Effect,
    GenerateKey,
    GiveCertificate,
    KeyRequest,
    Proof,
    Prove,
    StoreCertificate,
)
from cubeproxy.protocols.capf.authentication import SHA1, SHA512, auth_octets, rsa_block

CURVES: dict[Curve, ec.EllipticCurve] = {
    Curve.P256: ec.SECP256R1(),
    Curve.P384: ec.SECP384R1(),
    Curve.P521: ec.SECP521R1(),
}
_ECDSA = ec.ECDSA(hashes.SHA1())  # noqa: S303 - what CAPF verifies


def make_key(asked: KeyRequest) -> PrivateKey:
    """ValueError for RSA keys that are too short for today's libraries."""
    if asked.curve is not None:
        return ec.generate_private_key(CURVES[asked.curve])
    return rsa.generate_private_key(public_exponent=65537, key_size=asked.bits)


def proof_of(device: str, identity: Issued, kind: CertificateType) -> Proof:
    """A certificate and what only its key can make of the device's name."""
    certificate = identity.certificate.public_bytes(Encoding.DER)
    octets = auth_octets(device, certificate)
    if isinstance(identity.key, ec.EllipticCurvePrivateKey):
        return Proof(certificate=certificate, kind=kind, signed=identity.key.sign(octets, _ECDSA))
    signed, sha2 = (_apply(identity.key, octets, code) for code in (SHA1, SHA512))
    return Proof(certificate=certificate, kind=kind, signed=signed, sha2_signed=sha2)


def _apply(key: rsa.RSAPrivateKey, octets: bytes, code: int) -> bytes:
    """The bare private-key operation: no library signs without DigestInfo."""
    numbers, size = key.private_numbers(), key.key_size // 8
    block = int.from_bytes(rsa_block(octets, size, code), "big")
    return pow(block, numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


@dataclass
class Enrolment:
    """The owner of one CAPF session. `authority` is the CAPF certificate that was pinned: it has to have signed."""

    device: str
    flash: Flash
    mode: AuthMode  # as the configuration says: servers do not
    authority: x509.Certificate
    string: str = field(default="", repr=False)  # typed in by the user
    done: str = ""  # what was stored, shown or deleted
    _key: PrivateKey | None = field(default=None, repr=False)

    async def work(self, client: Client, effect: Effect) -> list[Effect]:
        loop = asyncio.get_running_loop()
        match effect:
            case Prove():
                return client.prove(await asyncio.to_thread(self._prove), loop.time())
            case GenerateKey():
                return await self._make_key(client, effect.asked)
            case StoreCertificate():
                stored = self._store(effect.certificate)
                return client.done(loop.time()) if stored else client.not_done(loop.time())
            case GiveCertificate():
                return self._show(client)
            case DeleteCertificate():
                self.flash.delete_lsc()
                self.done = "LSC deleted"
                return client.done(loop.time())
        raise TypeError(f"a CAPF client has nothing to do with {type(effect).__name__}")

    def _prove(self) -> Proof:
        """By the LSC first in mode LSC, by the MIC alone in mode MIC; a phone without proves nothing."""
        if self.mode is AuthMode.STRING:
            return Proof(password=self.string)
        identity = self.flash.lsc if self.mode is AuthMode.LSC and self.flash.lsc else self.flash.mic
        if self.mode not in (AuthMode.LSC, AuthMode.MIC) or identity is None:
            return Proof()
        kind = CertificateType.LSC if identity == self.flash.lsc else CertificateType.MIC
        return proof_of(self.device, self.flash.read(identity), kind)

    async def _make_key(self, client: Client, asked: KeyRequest) -> list[Effect]:
        loop = asyncio.get_running_loop()
        try:
            self._key = await asyncio.to_thread(make_key, asked)
        except ValueError:
            return client.not_done(loop.time())
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return client.key_made(public, loop.time())

    def _store(self, der: bytes) -> bool:
        """Only a certificate for our own key, issued by the CAPF that was pinned."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            certificate.verify_directly_issued_by(self.authority)
        except (ValueError, TypeError, InvalidSignature):
            return False
        if self._key is None or certificate.public_key() != self._key.public_key():
            return False
        self.flash.store_lsc(certificate, self._key)
        self.done = f"LSC {short_name(certificate)} stored"
        return True

    def _show(self, client: Client) -> list[Effect]:
        now = asyncio.get_running_loop().time()
        if self.flash.identity is None:
            return client.not_done(now)
        name, identity = self.flash.identity
        self.done = f"{name} shown"
        der = self.flash.read(identity).certificate.public_bytes(Encoding.DER)
        return client.certificate_found(der, CertificateType[name], now)
