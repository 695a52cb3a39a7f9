"""The cluster's own trust lists, and the refresh that makes an ITL anew when certificates have changed.

    CTL (mixed mode)   SAST: ITLRecovery and the publisher's CallManager; CCM+TFTP and CAPF of every node
    ITL                the same two SAST; TFTP (mixed mode: CCM+TFTP), TVS and CAPF of every node

Every list is signed by the publisher's CallManager key. A cluster that is not in mixed mode has no CTL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.cluster.keys import ClusterKeys, NodeKeys
from cubelab.pki.issue import short_name
from cubeproxy.protocols.trustlist import CTL_NAME, ITL_NAME, Record, Role, TrustList, read_list, record_of, sign_list

REFRESH = 600.0  # s between two looks at the certificates


def make_list(keys: ClusterKeys, timestamp: int, *, itl: bool, mixed: bool) -> bytes:
    """`timestamp` in s since 1970."""
    records = list(_records(keys, itl=itl, mixed=mixed))
    return sign_list(records, keys.publisher.signer, timestamp, file_name=ITL_NAME if itl else CTL_NAME)


def _records(keys: ClusterKeys, *, itl: bool, mixed: bool) -> Iterator[Record]:
    host = keys.publisher.host
    yield record_of(keys.recovery.certificate, Role.SAST, host, host)
    yield record_of(keys.publisher.manager.certificate, Role.SAST, host, host)
    for node in keys.nodes.values():
        role = Role.CCM_TFTP if mixed else Role.TFTP
        yield record_of(node.manager.certificate, role, node.host, node.host)
        if itl:
            yield record_of(node.tvs, Role.TVS, node.host, node.host)
    for node in keys.nodes.values():
        yield record_of(node.capf.certificate, Role.CAPF, node.host, node.host)


@dataclass(frozen=True)
class Refreshed:
    """`changed` makes every phone reset; `why` is for the event log."""

    changed: bool
    why: str


class ItlKeeper:
    """Holds the ITL and looks at the certificates every REFRESH seconds.

    `defect` is CSCup28852: the look compares the name of each node with the name in its certificate, and a
    multi-server certificate bears one name for all nodes. So it finds a change that is none, each time again.
    """

    def __init__(self, keys: ClusterKeys, now: int, *, mixed: bool, defect: bool = False) -> None:
        self.keys = keys
        self.defect = defect
        self._mixed = mixed
        self.current = make_list(keys, now, itl=True, mixed=mixed)

    def refresh(self, now: int) -> Refreshed:
        held = read_list(self.current)
        for name, node in self.keys.nodes.items():
            why = self._difference(name, node, held)
            if why:
                self.current = make_list(self.keys, max(now, held.header.timestamp + 1), itl=True, mixed=self._mixed)
                return Refreshed(True, f"ITL made anew, phones reset: {why}")
        return Refreshed(False, "ITL unchanged: every certificate is the one that is listed")

    def _difference(self, name: str, node: NodeKeys, held: TrustList) -> str:
        certificate = node.manager.certificate
        listed = {record.certificate for record in held.with_role(Role.TFTP, Role.CCM_TFTP)}
        shown = short_name(certificate)
        if certificate.public_bytes(Encoding.DER) not in listed:
            return f"the CallManager certificate of {name} ({shown}) is not the one that is listed"
        own = next(iter(self.keys.nodes))
        if self.defect and name != own and certificate == self.keys.publisher.manager.certificate:
            return (
                f"node {name} has the CallManager certificate {shown} of node {own} (multi-server), "
                "which is taken for a certificate update every time (CSCup28852, fixed in 10.5(1.98000.77))"
            )
        return ""
