"""`show dial-peer voice summary` (layout: vendor, line-side survivability chapter)."""

from __future__ import annotations

from cubeproxy.border.plan import Peer
from cubeproxy.views.sources import Sources

COLUMNS = "{:<7} {:<5} {:<5} {:<5} {:<8} {:<22} {:<4} {:<5} {:<26} {:<5} {:<5} {}"


def dial_peer_summary(sources: Sources) -> str:
    rows = [
        "             AD                                    PRE PASS                          OUT",
        COLUMNS.format(
            "TAG",
            "TYPE",
            "MIN",
            "OPER",
            "PREFIX",
            "DEST-PATTERN",
            "FER",
            "THRU",
            "SESS-TARGET",
            "STAT",
            "PORT",
            "KEEPALIVE",
        ).rstrip(),
    ]
    for dial_peer in sources.config.dial_peers.values():
        peer = sources.border.plan.peers.get(dial_peer.tag)
        state = "up" if peer else "down"
        target = f"ipv4:{dial_peer.target_address[0]}" if dial_peer.target_address else dial_peer.target
        rows.append(
            COLUMNS.format(
                dial_peer.tag, "voip", "down" if dial_peer.shutdown else "up", state, "", dial_peer.destination_pattern,
                dial_peer.preference, "syst", target, "", "", _keepalive(sources, peer),
            ).rstrip()
        )  # fmt: skip
    return "\n".join(rows) + "\n"


def _keepalive(sources: Sources, peer: Peer | None) -> str:
    nodes = [node for node in peer.nodes if node.keepalive] if peer else []
    if not nodes:
        return ""
    return "active" if any(sources.border.nodes.is_up(node.target) for node in nodes) else "busyout"
