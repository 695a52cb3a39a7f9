"""TLS settings of a listener or of outgoing connections: certificate, profile, and who judges the peer.

pyOpenSSL rather than the standard library's ssl: the verify callback sees a refused certificate, the bundled OpenSSL
still speaks TLS 1.0 for old phones, and with SSL_MODE_RELEASE_BUFFERS an idle phone costs a seventh of the memory.
Trust is not configured here: OpenSSL's store stays empty, and `judge` decides on every connection.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL, crypto

from cubeproxy.protocols.addresses import format_address as format_address  # noqa: PLC0414 - also from here
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.values import Address, DeviceIdentity
from cubeproxy.transport.channel import TlsChannel
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.verify import REJECTED, Verifier

Judge = Callable[[list[x509.Certificate]], DeviceIdentity]  # leaf first; raises TrustError
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Profile = Literal["default", "legacy"]

# What phones and CUCM offer, forward secrecy first; RSA key transport stays for 79xx and 69xx phones.
DEFAULT_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:RSA+AESGCM:ECDHE+AES:DHE+AES:RSA+AES:!aNULL:!eNULL:!PSK:!SRP"
# eNULL last: phones in "authenticated" security mode sign and do not encrypt.
LEGACY_CIPHERS = b"ALL:!aNULL:!PSK:!SRP:eNULL:@SECLEVEL=0"

SESSION_LIFETIME = 7200  # s, RFC 8446 allows seven days; the certificate is judged at each resumption anyway
INTERMEDIATES = 4096  # leaf certificates whose chains are remembered for resumed sessions


class TlsSettings:
    """What server and client have in common. `reload` changes certificate and key; open connections stay."""

    server = True
    require_peer = True
    server_name = ""

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        key: PrivateKey | None,
        judge: Judge,
        *,
        profile: Profile = "default",
        keylog: BinaryIO | None = None,
    ) -> None:
        self.judge = judge
        self.profile: Profile = profile
        self.keylog = keylog
        self._intermediates: OrderedDict[bytes, list[x509.Certificate]] = OrderedDict()
        self._context = self._new_context(chain, key)
        if profile == "legacy":
            check_legacy()

    def reload(self, chain: Sequence[x509.Certificate], key: PrivateKey | None) -> None:
        """New handshakes use these from now on, and old tickets end. On ConfigError everything stays as it was."""
        self._context = self._new_context(chain, key)

    def channel(self, limits: Limits, peer: str, clock: Callable[[], float]) -> TlsChannel:
        """A new connection's TLS. `peer` is how events name it, "address:port"."""
        return TlsChannel(self, self._context, limits, server=self.server, peer=peer, clock=clock)

    def remember(self, chain: list[x509.Certificate]) -> None:
        """A session keeps the leaf only: keep what its peer sent beside it, to judge it again when it is resumed."""
        if len(chain) > 1:
            key = chain[0].fingerprint(hashes.SHA256())
            self._intermediates[key] = chain[1:]
            self._intermediates.move_to_end(key)
            if len(self._intermediates) > INTERMEDIATES:
                self._intermediates.popitem(last=False)

    def intermediates(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        return self._intermediates.get(leaf.fingerprint(hashes.SHA256()), [])

    def _new_context(self, chain: Sequence[x509.Certificate], key: PrivateKey | None) -> SSL.Context:
        context = _base_context(SSL.TLS_SERVER_METHOD if self.server else SSL.TLS_CLIENT_METHOD, self.profile)
        if chain:
            _use_certificate(context, chain, key)
        VERIFIER.install(context, self._verify_mode())
        context.set_verify_depth(8)
        context.set_info_callback(_on_info)
        if self.keylog is not None:
            context.set_keylog_callback(_keylog_writer(self.keylog))
        # Tickets carry the session, so nothing is cached here; the context's name is what OpenSSL demands for them.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"cubeproxy")
        context.set_timeout(SESSION_LIFETIME)
        return context

    def _verify_mode(self) -> int:
        if self.require_peer:
            return SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        return SSL.VERIFY_PEER


class TlsServer(TlsSettings):
    """A listener's TLS. A client certificate is demanded, as CUBE always does, unless the caller says otherwise."""

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        key: PrivateKey,
        judge: Judge,
        *,
        profile: Profile = "default",
        require_client: bool = True,
        keylog: BinaryIO | None = None,
    ) -> None:
        self.require_peer = require_client
        super().__init__(chain, key, judge, profile=profile, keylog=keylog)


class TlsClient(TlsSettings):
    """TLS of outgoing connections. `chain` may be empty where the server demands no certificate."""

    server = False

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        key: PrivateKey | None,
        judge: Judge,
        *,
        server_name: str = "",
        profile: Profile = "default",
        keylog: BinaryIO | None = None,
        resume: bool = True,
    ) -> None:
        self.server_name = server_name
        self.resume = resume
        self._sessions: OrderedDict[Address, tuple[SSL.Context, SSL.Session]] = OrderedDict()
        super().__init__(chain, key, judge, profile=profile, keylog=keylog)

    def connect(self, address: Address, limits: Limits, clock: Callable[[], float]) -> TlsChannel:
        """A channel to a server, resuming the last session with it when there is one."""
        session = None
        kept = self._sessions.pop(address, None)  # a ticket serves once (RFC 8446 C.4)
        if kept is not None and kept[0] is self._context:
            session = kept[1]
        peer = format_address(address)
        return TlsChannel(self, self._context, limits, server=False, peer=peer, clock=clock, session=session)

    def keep_session(self, address: Address, channel: TlsChannel) -> None:
        """Called when a connection ends well."""
        if not self.resume:
            return
        session = channel.session()
        if session is not None:
            self._sessions[address] = (self._context, session)
            if len(self._sessions) > 1024:
                self._sessions.popitem(last=False)


def _base_context(method: int, profile: Profile) -> SSL.Context:
    context = SSL.Context(method)
    if profile == "legacy":
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_cipher_list(LEGACY_CIPHERS)
    else:
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(DEFAULT_CIPHERS)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _use_certificate(context: SSL.Context, chain: Sequence[x509.Certificate], key: PrivateKey | None) -> None:
    subject = chain[0].subject.rfc4514_string()
    if key is None:
        raise ConfigError(f"certificate {subject} has no private key", fix="put key.pem beside it")
    try:
        context.use_certificate(chain[0])
        for certificate in chain[1:]:
            context.add_extra_chain_cert(certificate)
    except SSL.Error as error:
        raise ConfigError(
            f"certificate {subject} cannot be used: {error.args}",
            fix="issue it with 2048 bits and SHA-256, or use the legacy TLS profile",
        ) from None
    try:
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        raise ConfigError(
            f"the private key does not belong to certificate {subject}", fix="put the matching key.pem in its place"
        ) from None


def _on_verify(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: bool) -> int:
    channel: TlsChannel | None = connection.get_app_data()
    return REJECTED if channel is None else channel.verify(certificate, error, depth, good)


VERIFIER = Verifier(_on_verify)


def _on_info(connection: SSL.Connection, where: int, result: int) -> None:
    channel: TlsChannel | None = connection.get_app_data()
    if channel is not None:
        channel.notice(where)


def _keylog_writer(file: BinaryIO) -> Callable[[SSL.Connection, bytes], None]:
    def write(connection: SSL.Connection, line: bytes) -> None:
        file.write(line + b"\n")
        file.flush()

    return write


def open_keylog(path: Path) -> BinaryIO:
    """A key log file (NSS format, as Wireshark reads it). Readable by its owner alone: it opens every recorded call."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")


def check_legacy() -> None:
    """Shake hands with ourselves in TLS 1.0; ConfigError when the OpenSSL in use has it switched off."""
    server, client = (_base_context(method, "legacy") for method in (SSL.TLS_SERVER_METHOD, SSL.TLS_CLIENT_METHOD))
    client.set_max_proto_version(SSL.TLS1_VERSION)
    for context in (server, client):
        context.set_cipher_list(b"aNULL:@SECLEVEL=0")  # no certificate needed for this question
    if not _agree(SSL.Connection(server), SSL.Connection(client)):
        raise ConfigError(
            f"the OpenSSL in use ({SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()}) cannot speak TLS 1.0",
            fix="use pyOpenSSL with the wheels of cryptography from PyPI, or leave the legacy TLS profile",
        )


def _agree(server: SSL.Connection, client: SSL.Connection) -> bool:
    server.set_accept_state()
    client.set_connect_state()
    done = 0
    for _ in range(8):
        for here, there in ((client, server), (server, client)):
            try:
                here.do_handshake()
                done += 1
            except SSL.WantReadError:
                pass
            except SSL.Error:
                return False
            try:
                there.bio_write(here.bio_read(65_536))
            except SSL.WantReadError:
                if done >= 2:
                    return True
    return False
