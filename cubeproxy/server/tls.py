"""TLS of a running proxy, by its configuration: which trustpoint we present, and who vouches for peers.

`crypto signaling default` is what listeners and outgoing connections present; a `remote-addr` line
takes its place towards that network (vendor: `sip-ua`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import BinaryIO

from cryptography import x509

from cubeproxy.config.model import Config, CryptoSignaling
from cubeproxy.pki.anchors import TrustAnchors
from cubeproxy.pki.identity import Judge, farms_only, make_judge
from cubeproxy.pki.names import names_host
from cubeproxy.pki.store import OwnCertificate, Store
from cubeproxy.protocols.errors import ConfigError, TrustError
from cubeproxy.protocols.values import DeviceIdentity, Event, Severity, Target
from cubeproxy.transport.tls import Profile, TlsClient, TlsServer, TlsSettings


@dataclass
class InUse:
    """TLS settings, and the certificate that they present."""

    settings: TlsSettings
    trustpoint: str
    own: OwnCertificate


def naming(judge: Judge, host: str) -> Judge:
    """`cn-san-validate server`: whoever answers must be trusted and have a certificate for `host` (RFC 5922)."""

    def judge_with_name(chain: list[x509.Certificate]) -> DeviceIdentity:
        identity = judge(chain)
        if not names_host(chain[0], host):
            raise TrustError(
                f"the certificate is not for {host}",
                subject=identity.subject,
                issuer=identity.issuer,
                trustpoint=identity.trustpoint,
                fix=f"issue it with {host} as subject alternative name, or leave out cn-san-validate",
            )
        return identity

    return judge_with_name


class TlsPolicy:
    def __init__(self, config: Config, store: Store, *, keylog: BinaryIO | None = None) -> None:
        self._lines = config.sip_ua.crypto_signaling
        self._store = store
        self._keylog = keylog
        self._clients: dict[tuple[str, str], TlsClient] = {}
        self._in_use: list[InUse] = []

    def server(self, profile: Profile = "default") -> TlsServer:
        """What a listener presents. A client certificate is always demanded. Raises ConfigError or TrustError."""
        trustpoint = self._line("").trustpoint
        own = self._own(trustpoint)
        judge = make_judge(self._store.anchors, legacy=profile == "legacy")
        server = TlsServer(own.chain, own.key, judge, profile=profile, keylog=self._keylog)
        self._in_use.append(InUse(server, trustpoint, own))
        return server

    def farms(self, trustpoint: str) -> TlsServer:
        """What the secure SCCP port presents (`secure-signaling trustpoint`). ConfigError or TrustError."""
        own = self._own(trustpoint)
        server = TlsServer(own.chain, own.key, farms_only(make_judge(self._store.anchors)), keylog=self._keylog)
        self._in_use.append(InUse(server, trustpoint, own))
        return server

    def call_manager(self, trustpoint: str, voucher: str = "") -> TlsClient:
        """What a farm presents to its call manager (`trustpoint` of its profile), as the store has it now. `voucher`
        (`sccp ccm ... trustpoint`) is the one that must vouch for the call manager, "" is any. TrustError."""
        own = self._own(trustpoint)
        names = [voucher] if voucher else None
        judge = make_judge(lambda: self._store.anchors(names), role="server")
        return TlsClient(own.chain, own.key, judge, keylog=self._keylog, resume=False)

    def client(self, target: Target) -> TlsClient:
        """What an outgoing connection presents, and who may answer it."""
        line = self._line(target.host)
        named = target.host if line.cn_san_validate in ("server", "bidirectional") else ""
        if (line.remote, named) not in self._clients:
            own = self._own(line.trustpoint)
            judge = make_judge(self._anchors(line), role="server")
            client = TlsClient(own.chain, own.key, naming(judge, named) if named else judge, keylog=self._keylog)
            self._clients[line.remote, named] = client
            self._in_use.append(InUse(client, line.trustpoint, own))
        return self._clients[line.remote, named]

    def renew(self) -> list[Event]:
        """Present what the store has now, from the next handshake on. What does not fit stays out, with an event."""
        events: list[Event] = []
        for used in self._in_use:
            try:
                own = self._own(used.trustpoint)
                if own.chain != used.own.chain:
                    used.settings.reload(own.chain, own.key)
                    used.own = own
            except (ConfigError, TrustError) as error:
                events.append(
                    Event(
                        "tls.not-renewed",
                        Severity.ERROR,
                        f"the certificate in use stays: {error}",
                        cause=str(error),
                        fix=error.fix,
                        fields={"trustpoint": used.trustpoint},
                    )
                )
        return events

    def _own(self, trustpoint: str) -> OwnCertificate:
        """TrustError also for a certificate that has expired: no phone would talk to us."""
        own = self._store.own(trustpoint)
        end = own.chain[0].not_valid_after_utc
        if datetime.now(UTC) > end:
            raise TrustError(
                f"the certificate of trustpoint {trustpoint} expired on {end:%Y-%m-%d}",
                subject=own.chain[0].subject.rfc4514_string(),
                trustpoint=trustpoint,
                fix=f"renew it: cubeproxy pki import {trustpoint}, or delete it and cubeproxy pki self-signed",
            )
        return own

    def _anchors(self, line: CryptoSignaling) -> Callable[[], TrustAnchors]:
        names = [line.client_vtp] if line.client_vtp else None
        return lambda: self._store.anchors(names)

    def _line(self, host: str) -> CryptoSignaling:
        """The `crypto signaling` line for a remote host, the default line where none names it."""
        for line in self._lines:
            if line.remote and host and ip_address(host) in ip_network(line.remote):
                return line
        for line in self._lines:
            if not line.remote:
                return line
        if self._lines:
            return self._lines[0]
        raise ConfigError(
            "sip-ua has no crypto signaling line, and a dial peer uses TLS",
            fix="sip-ua / crypto signaling default trustpoint NAME",
        )
