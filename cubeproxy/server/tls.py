"""TLS of a running proxy, by its configuration: which trustpoint we present, and who vouches for peers.

`crypto signaling default` is what listeners and outgoing connections present; a `remote-addr` line
takes its place towards that network (vendor: sip-ua, cube-line-side facts 1.6).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import BinaryIO

from cubeproxy.config.model import Config, CryptoSignaling
from cubeproxy.pki.anchors import TrustAnchors
from cubeproxy.pki.identity import make_judge
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.values import Target
from cubeproxy.transport.tls import TlsClient, TlsServer


class TlsPolicy:
    def __init__(self, config: Config, store: Store, *, legacy: bool = False, keylog: BinaryIO | None = None) -> None:
        self._lines = config.sip_ua.crypto_signaling
        self._store = store
        self._legacy = legacy
        self._keylog = keylog
        self._clients: dict[str, TlsClient] = {}

    def server(self) -> TlsServer:
        """What listeners present. A client certificate is always demanded. Raises ConfigError or TrustError."""
        own = self._store.own(self._line("").trustpoint)
        judge = make_judge(self._store.anchors, legacy=self._legacy)
        return TlsServer(
            own.chain, own.key, judge, profile="legacy" if self._legacy else "default", keylog=self._keylog
        )

    def client(self, target: Target) -> TlsClient:
        """What an outgoing connection presents, and who may answer it."""
        line = self._line(target.host)
        if line.remote not in self._clients:
            own = self._store.own(line.trustpoint)
            judge = make_judge(self._anchors(line), role="server")
            self._clients[line.remote] = TlsClient(own.chain, own.key, judge, keylog=self._keylog)
        return self._clients[line.remote]

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
