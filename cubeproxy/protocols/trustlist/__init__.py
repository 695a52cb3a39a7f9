"""What phones trust: CTL and ITL files, and signed (`.sgn`) and encrypted (`.enc.sgn`) files.

`lists` reads and writes, `validate` judges, `signing` is where keys are used; the one room of `protocols` that may use
`cryptography`.
"""

from cubeproxy.protocols.trustlist.encrypted import decrypt, encrypt_file, read_encrypted, validate_encrypted
from cubeproxy.protocols.trustlist.header import read_envelope
from cubeproxy.protocols.trustlist.lists import read_list, read_signed, record_of, sign_file, sign_list, stub_of
from cubeproxy.protocols.trustlist.model import (
    CTL_NAME,
    FILE_SIGNERS,
    ITL_NAME,
    SIP_SERVERS,
    Digest,
    Encryption,
    Envelope,
    Header,
    Record,
    Role,
    TrustList,
)
from cubeproxy.protocols.trustlist.names import name_text, serial_octets
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.signing import Signer, check_signature
from cubeproxy.protocols.trustlist.validate import validate_list, validate_signed, validate_signed_by

__all__ = [
    "CTL_NAME",
    "FILE_SIGNERS",
    "ITL_NAME",
    "SIP_SERVERS",
    "Digest",
    "Encryption",
    "Envelope",
    "Header",
    "Record",
    "Role",
    "Rule",
    "Signer",
    "TrustList",
    "TrustListError",
    "check_signature",
    "decrypt",
    "encrypt_file",
    "name_text",
    "read_encrypted",
    "read_envelope",
    "read_list",
    "read_signed",
    "record_of",
    "serial_octets",
    "sign_file",
    "sign_list",
    "stub_of",
    "validate_encrypted",
    "validate_list",
    "validate_signed",
    "validate_signed_by",
]
