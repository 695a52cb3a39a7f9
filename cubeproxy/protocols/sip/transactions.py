"""The four transactions of RFC 3261 17 and RFC 6026, by name: their tables, states and inputs."""

from __future__ import annotations

from cubeproxy.protocols.sip.client_transactions import INVITE_CLIENT, NON_INVITE_CLIENT, InviteClient, NonInviteClient
from cubeproxy.protocols.sip.machine import Input, State, Table, Transaction
from cubeproxy.protocols.sip.server_transactions import INVITE_SERVER, NON_INVITE_SERVER, InviteServer, NonInviteServer

TABLES: dict[str, Table] = {
    InviteClient.kind: INVITE_CLIENT,
    NonInviteClient.kind: NON_INVITE_CLIENT,
    InviteServer.kind: INVITE_SERVER,
    NonInviteServer.kind: NON_INVITE_SERVER,
}

__all__ = [
    "INVITE_CLIENT",
    "INVITE_SERVER",
    "NON_INVITE_CLIENT",
    "NON_INVITE_SERVER",
    "TABLES",
    "Input",
    "InviteClient",
    "InviteServer",
    "NonInviteClient",
    "NonInviteServer",
    "State",
    "Table",
    "Transaction",
]
