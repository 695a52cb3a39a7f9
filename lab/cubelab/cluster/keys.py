"""The certificates and keys of a cluster's nodes, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cubelab.agent.trust import read_certificates, read_identity
from cubelab.pki.issue import Issued
from cubelab.pki.lab import Identity, Lab
from cubeproxy.protocols.trustlist import Signer

MAKERS = ("Cisco_Manufacturing_CA", "CAP-RTP-001", "CAP-RTP-002")


@dataclass(frozen=True)
class NodeKeys:
    """One node. `files` are where TLS reads them."""

    host: str
    manager: Issued
    capf: Issued
    tvs: x509.Certificate
    capf_files: Identity = field(repr=False)
    tvs_files: Identity = field(repr=False)

    @property
    def signer(self) -> Signer:
        """CallManager.pem signs this node's files."""
        return signer_of(self.manager)


@dataclass(frozen=True)
class ClusterKeys:
    """`nodes` by name, the publisher first. `makers` are the CAs that CAPF believes a MIC from."""

    nodes: Mapping[str, NodeKeys]
    recovery: Issued
    makers: tuple[x509.Certificate, ...]

    @property
    def publisher(self) -> NodeKeys:
        return next(iter(self.nodes.values()))


def read_keys(pki: Lab, hosts: Mapping[str, str], capf: Mapping[str, Identity]) -> ClusterKeys:
    """`hosts`: address by the name of each node, the publisher first; `capf` are in the place of the lab's own.

    KeyError for a node that the lab has not.
    """
    authorities = {**pki.capf, **capf}
    nodes = {
        name: NodeKeys(
            host,
            _issued(pki.cucm[name]),
            _issued(authorities[name]),
            read_certificates(pki.tvs[name].certificate)[0],
            authorities[name],
            pki.tvs[name],
        )
        for name, host in hosts.items()
    }
    makers = [one for name in MAKERS for one in read_certificates(pki.trust / f"{name}.pem")]
    return ClusterKeys(nodes, _issued(next(iter(pki.recovery.values()))), tuple(makers))


def shared_manager(keys: ClusterKeys, manager: Issued) -> ClusterKeys:
    """The same cluster with one multi-server certificate for the CallManager of every node."""
    nodes = {name: replace(node, manager=manager) for name, node in keys.nodes.items()}
    return replace(keys, nodes=nodes)


def signer_of(issued: Issued) -> Signer:
    assert isinstance(issued.key, rsa.RSAPrivateKey)
    return Signer(issued.certificate, issued.key)


def _issued(identity: Identity) -> Issued:
    chain, key = read_identity(identity.certificate, identity.key)
    return Issued(chain[0], key)
