"""What a phone outside is to see in place of the cluster: made from the configuration, used by `rewrite`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cubeproxy.config.model import Config, DialPeer, PhoneProxy
from cubeproxy.phoneproxy.ctl import CAPF_PORT
from cubeproxy.protocols.values import Address, Transport

TVS_PORT = 2445
SIP_TRANSPORT = {Transport.TCP: "1", Transport.UDP: "2", Transport.TLS: "3"}  # transportLayerProtocol


@dataclass(frozen=True)
class AccessView:
    """Addresses are of the access side. `nodes` maps each node of the cluster, `services` each mapped port."""

    secure: bool
    transport: Transport
    nodes: Mapping[str, str]
    node: str  # for a node that is not in `nodes`; "" leaves it as it is
    sip_port: int = 5060
    secure_sip_port: int = 5061
    capf: Address | None = None
    services: Mapping[Address, Address] = field(default_factory=dict)  # cluster's address and port -> ours
    disable_service_settings: bool = False
    names: Mapping[str, str] = field(default_factory=dict)  # host names of the cluster -> addresses, lower case

    @property
    def tvs(self) -> Address | None:
        mapped = (ours for theirs, ours in self.services.items() if theirs[1] == TVS_PORT)
        return next(mapped, None)

    def node_for(self, host: str) -> str:
        """The access address that stands for a node, "" for none."""
        return self.nodes.get(self.resolve(host), self.node)

    def service_for(self, host: str, port: int) -> Address | None:
        return self.services.get((self.resolve(host), port))

    def resolve(self, host: str) -> str:
        return self.names.get(host.lower(), host)


def access_view(config: Config, proxy: PhoneProxy, names: Mapping[str, str] | None = None) -> AccessView:
    """The view of one phone proxy. Its nodes are those of the dial peers that are attached to it."""
    peers = [peer for peer in config.dial_peers.values() if _attached(peer, proxy)]
    attached = [peer.phone_proxy for peer in peers if peer.phone_proxy is not None]
    nodes = {attachment.cucm: attachment.signal_address for attachment in attached}
    transport = peers[0].transport if peers else Transport.UDP
    return AccessView(
        secure=proxy.access_secure,
        transport=Transport.TLS if proxy.access_secure else transport,
        nodes=nodes,
        node=attached[0].signal_address if attached else proxy.tftp_access,
        sip_port=config.voice.listen_port,
        secure_sip_port=config.voice.listen_port_secure,
        capf=_capf(proxy),
        services={entry.server: entry.access for entry in proxy.service_maps},
        disable_service_settings=proxy.disable_service_settings,
        names=names or {},
    )


def _attached(peer: DialPeer, proxy: PhoneProxy) -> bool:
    return peer.phone_proxy is not None and peer.phone_proxy.name == proxy.name and not peer.shutdown


def _capf(proxy: PhoneProxy) -> Address | None:
    """`capf-address` is always port 3804; a service map may have put it elsewhere."""
    if proxy.capf_access:
        return proxy.capf_access, CAPF_PORT
    return next((entry.access for entry in proxy.service_maps if entry.server[1] == CAPF_PORT), None)
