"""What the transaction layer tells its owner and its user. Values, acted upon by whoever owns the socket.

Not frozen: they are made for every message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cubeproxy.protocols.sip.message import Message, Request, Response
from cubeproxy.protocols.values import Flow, Path

ClientKey = tuple[str, str]  # branch, method (RFC 3261 17.1.3)
ServerKey = tuple[str | int, ...]  # see matching.server_key (RFC 3261 17.2.3)
Cause = Literal["timeout", "transport"]


@dataclass(slots=True)
class Transmit:
    """Put the message on the path."""

    path: Path
    message: Message


@dataclass(slots=True)
class RequestArrived:
    """A new request, once; never an ACK or a CANCEL. Answer it through `respond` with the key."""

    key: ServerKey
    request: Request
    flow: Flow


@dataclass(slots=True)
class AckArrived:
    """An ACK for a 2xx, each time that it comes, or an ACK that fits nothing: the dialog decides."""

    request: Request
    flow: Flow


@dataclass(slots=True)
class CancelArrived:
    """An INVITE that is not answered yet was cancelled. The CANCEL has its 200 already; the INVITE wants a 487."""

    invite_key: ServerKey
    request: Request  # the CANCEL itself, for its Reason header (RFC 3326)
    flow: Flow


@dataclass(slots=True)
class ResponseArrived:
    """A response to our request: every provisional one, the final one once, but each 2xx to an INVITE again."""

    key: ClientKey
    response: Response


@dataclass(slots=True)
class ClientFailed:
    """Our request ended without a final response: timer B or F, or the path is gone."""

    key: ClientKey
    cause: Cause


@dataclass(slots=True)
class ServerExpired:
    """Our final response to an INVITE was never acknowledged (timer H, or L for a 2xx)."""

    key: ServerKey


Output = Transmit | RequestArrived | AckArrived | CancelArrived | ResponseArrived | ClientFailed | ServerExpired
