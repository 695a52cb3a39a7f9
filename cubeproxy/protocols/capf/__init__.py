"""CAPF: how a phone gets, shows and loses its locally significant certificate.

`messages` is the wire, `authentication` what proves a phone, `server` and `client` are the two ends as tables.
"""

from cubeproxy.protocols.capf.authentication import Attempt, AuthMode, Proof, authenticated
from cubeproxy.protocols.capf.client import Client
from cubeproxy.protocols.capf.messages import (
    CertificateType,
    Command,
    Curve,
    Framer,
    KeyRequest,
    Message,
    Reason,
    Tag,
    parse_message,
)
from cubeproxy.protocols.capf.server import Server
from cubeproxy.protocols.capf.session import (
    Authenticate,
    DeleteCertificate,
    Effect,
    Ended,
    GenerateKey,
    GiveCertificate,
    IssueCertificate,
    Operation,
    Pace,
    Prove,
    Send,
    StoreCertificate,
)

__all__ = [
    "Attempt",
    "AuthMode",
    "Authenticate",
    "CertificateType",
    "Client",
    "Command",
    "Curve",
    "DeleteCertificate",
    "Effect",
    "Ended",
    "Framer",
    "GenerateKey",
    "GiveCertificate",
    "IssueCertificate",
    "KeyRequest",
    "Message",
    "Operation",
    "Pace",
    "Proof",
    "Prove",
    "Reason",
    "Send",
    "Server",
    "StoreCertificate",
    "Tag",
    "authenticated",
    "parse_message",
]
