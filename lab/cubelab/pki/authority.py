"""A company's certification authority that answers SCEP as NDES does: an RA beside the CA, one-time passwords. Sans-IO.

What a request asks for is its names alone; usage and purposes are the template's, `web-server` in `certs/servers.toml`.
Faults are what a lab is for: `pending` lets an operator approve, `answer_as` lets a stranger sign.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AttributeOID

from cubelab.pki.certification_request import BadRequest, read_request
from cubelab.pki.issue import Issued, extensions_of, issue
from cubelab.pki.lab import write
from cubelab.pki.profiles import load_profiles
from cubeproxy.pki.scep import cms
from cubeproxy.pki.scep.cms import ScepError
from cubeproxy.pki.scep.messages import Identity, Kind, Message, Status, read
from cubeproxy.pki.scep.messages import write as write_message

CAPABILITIES = ("POSTPKIOperation", "Renewal", "SHA-512", "SHA-256", "SHA-1", "DES3", "AES")
BAD_REQUEST, BAD_CHECK, BAD_IDENTIFIER = "2", "1", "4"
PASSWORD_LIFE = timedelta(minutes=60)  # as NDES
ROLES = ("ca", "ra-encryption", "ra-signing")


@dataclass(frozen=True)
class Answer:
    """What goes back over HTTP."""

    body: bytes = field(repr=False)
    content_type: str = "application/x-pki-message"
    status: int = 200


@dataclass
class Authority:
    """`issued` is what was certified so far; `pending` makes every request wait for `approve`."""

    ca: Issued
    encryption: Issued
    signing: Issued
    capabilities: tuple[str, ...] = CAPABILITIES
    pending: bool = False
    answer_as: Issued | None = None
    issued: list[x509.Certificate] = field(default_factory=list)
    _passwords: dict[str, datetime] = field(default_factory=dict, repr=False)
    _waiting: dict[str, x509.CertificateSigningRequest] = field(default_factory=dict)
    _approved: dict[str, x509.Certificate] = field(default_factory=dict)

    def new_password(self, now: datetime) -> str:
        """What the page mscep_admin shows: good for one request within the hour."""
        password = secrets.token_hex(8).upper()
        self._passwords[password] = now
        return password

    def approve(self, now: datetime) -> int:
        """Certify everything that waits; how many that were."""
        for transaction, request in self._waiting.items():
            self._approved[transaction] = self._certify(request, now)
        done = len(self._waiting)
        self._waiting.clear()
        return done

    def handle(self, operation: str, message: str, body: bytes, now: datetime) -> Answer:
        match operation:
            case "GetCACaps":
                return Answer("".join(f"{word}\n" for word in self.capabilities).encode(), "text/plain")
            case "GetCACert":
                chain = [self.encryption.certificate, self.signing.certificate, self.ca.certificate]
                return Answer(cms.bundle(chain), "application/x-x509-ca-ra-cert")
            case "PKIOperation":
                try:
                    return Answer(self._operate(body or base64.b64decode(message, validate=True), now))
                except (ScepError, binascii.Error):
                    return Answer(b"", "text/plain", 400)
        return Answer(b"", "text/plain", 404)

    def _operate(self, data: bytes, now: datetime) -> bytes:
        message, signer = read(data)
        try:
            content = cms.decrypt(message.content, self._rsa(self.encryption))
        except ScepError:
            return self._reply(message, signer, failure=BAD_CHECK)
        if message.kind is Kind.POLL:
            return self._poll(message, signer)
        if message.kind not in (Kind.REQUEST, Kind.RENEWAL):
            return self._reply(message, signer, failure=BAD_REQUEST)
        try:
            request = read_request(content)
        except BadRequest:
            return self._reply(message, signer, failure=BAD_CHECK)
        if not self._allowed(request, signer, now):
            return self._reply(message, signer, failure=BAD_REQUEST)
        if self.pending:
            self._waiting[message.transaction] = request
            return self._reply(message, signer, status=Status.PENDING)
        return self._reply(message, signer, certificate=self._certify(request, now))

    def _poll(self, message: Message, signer: x509.Certificate) -> bytes:
        if message.transaction in self._approved:
            return self._reply(message, signer, certificate=self._approved[message.transaction])
        if message.transaction in self._waiting:
            return self._reply(message, signer, status=Status.PENDING)
        return self._reply(message, signer, failure=BAD_IDENTIFIER)

    def _allowed(self, request: x509.CertificateSigningRequest, signer: x509.Certificate, now: datetime) -> bool:
        """A password that was not used before, or the signature of a certificate that is ours."""
        if signer in self.issued:
            return signer.not_valid_after_utc > now and signer.subject == request.subject
        try:
            password = request.attributes.get_attribute_for_oid(AttributeOID.CHALLENGE_PASSWORD).value.decode()
        except (x509.AttributeNotFound, UnicodeDecodeError):
            return False
        made = self._passwords.pop(password, None)
        return made is not None and now - made < PASSWORD_LIFE

    def _certify(self, request: x509.CertificateSigningRequest, now: datetime) -> x509.Certificate:
        """Names from the request, everything else from the template."""
        profile = load_profiles()["web-server"]
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.ca.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=profile.days[0]))
            .not_valid_after(now + timedelta(days=profile.days[1]))
        )
        for extension, critical in extensions_of(profile):
            builder = builder.add_extension(extension, critical=critical)
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            builder = builder.add_extension(names, critical=False)
        except x509.ExtensionNotFound:
            pass
        certificate = builder.sign(self.ca.key, hashes.SHA256())
        self.issued.append(certificate)
        return certificate

    def _reply(
        self,
        to: Message,
        recipient: x509.Certificate,
        *,
        certificate: x509.Certificate | None = None,
        status: Status = Status.FAILURE,
        failure: str = "",
    ) -> bytes:
        content = b""
        if certificate is not None:
            status = Status.SUCCESS
            cipher = "aes128_cbc" if "AES" in self.capabilities else "tripledes_3key"
            content = cms.encrypt(cms.bundle([certificate, self.ca.certificate]), recipient, cipher)
        message = Message(
            Kind.REPLY, to.transaction, secrets.token_bytes(16), to.sender_nonce, status, failure, content
        )
        signer = self.answer_as or self.signing
        return write_message(message, Identity(signer.certificate, self._rsa(signer)))

    def _rsa(self, issued: Issued) -> rsa.RSAPrivateKey:
        assert isinstance(issued.key, rsa.RSAPrivateKey)
        return issued.key


def make_authority(now: datetime) -> Authority:
    profiles = load_profiles()
    ca = issue(profiles["enterprise-ca"], {}, None, now)
    encryption, signing = (issue(profiles[name], {}, ca, now) for name in ROLES[1:])
    return Authority(ca, encryption, signing)


def authority_at(folder: Path) -> Authority:
    """The authority of a folder, made there the first time: DIR/authority/<role>/{cert,key}.pem."""
    target = folder / "authority"
    if not (target / "ca" / "cert.pem").exists():
        made = make_authority(datetime.now(UTC).replace(microsecond=0))
        for role, issued in _roles(made).items():
            write(target / role / "key.pem", issued.key_pem, secret=True)
            write(target / role / "cert.pem", issued.certificate_pem)
        return made
    ca, encryption, signing = (_load(target / role) for role in ROLES)
    return Authority(ca, encryption, signing)


def _roles(authority: Authority) -> Mapping[str, Issued]:
    return dict(zip(ROLES, (authority.ca, authority.encryption, authority.signing), strict=True))


def _load(folder: Path) -> Issued:
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    return Issued(x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes()), key)  # type: ignore[arg-type]
