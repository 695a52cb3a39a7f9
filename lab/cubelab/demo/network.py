"""Addresses of one run: a network of its own inside 127.0.0.0/8, so that two runs never meet."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass

# The samples' addresses (lab/configs), and what stands for them.
ROUTER_ACCESS, ROUTER_CORE = "192.0.2.1", "198.51.100.1"
CLUSTER = ("198.51.100.11", "198.51.100.12")


@dataclass(slots=True, frozen=True)
class Network:
    """`second` is the second octet of all its addresses."""

    second: int

    def _host(self, third: int, fourth: int) -> str:
        return f"127.{self.second}.{third}.{fourth}"

    @property
    def access(self) -> str:
        return self._host(10, 1)

    @property
    def core(self) -> str:
        return self._host(20, 1)

    @property
    def nodes(self) -> tuple[str, str]:
        return self._host(20, 11), self._host(20, 12)

    def phone(self, number: int) -> str:
        return self._host(30, number)

    @property
    def access_wire(self) -> str:
        return self._host(40, 1)

    @property
    def core_wire(self) -> str:
        return self._host(50, 1)

    @property
    def sccp_wire(self) -> str:
        return self._host(60, 1)

    @property
    def mapping(self) -> dict[str, str]:
        """The router's addresses to ours, for `--map`."""
        return {ROUTER_ACCESS: self.access, ROUTER_CORE: self.core, **dict(zip(CLUSTER, self.nodes, strict=True))}


def free_network(attempts: int = 50) -> Network:
    """One in which nobody listens on the ports of SIP and SCCP. OSError when none was found."""
    for _ in range(attempts):
        network = Network(64 + secrets.randbelow(190))
        hosts = (network.access, network.core, *network.nodes, network.sccp_wire)
        if all(_free(host, port) for host in hosts for port in (5060, 5061, 2000)):
            return network
    raise OSError("no free network in 127.0.0.0/8")


def _free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
