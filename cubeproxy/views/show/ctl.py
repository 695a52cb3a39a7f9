"""A trust list for people to read, laid out like `show ctl` of CUCM: the header, then a table a record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cubeproxy.protocols.trustlist import Envelope, Record, Role, TrustList

ROLES = {
    Role.SAST: "System Administrator Security Token",
    Role.CCM: "CCM",
    Role.CCM_TFTP: "CCM+TFTP",
    Role.TFTP: "TFTP",
    Role.CAPF: "CAPF",
    Role.APP_SERVER: "APP-SERVER",
    Role.TVS: "TVS",
}
RULE = "-" * 72


def show_list(trust: TrustList) -> str:
    lines = [*_header(trust.envelope), f"Records: {len(trust.records)}"]
    for number, record in enumerate(trust.records, 1):
        lines += ["", f"{'ITL' if trust.is_itl else 'CTL'} Record #:{number}", RULE, *_record(record)]
    return _printable("\n".join(lines) + "\n")


def show_signed(envelope: Envelope) -> str:
    """The header of a `.sgn` or `.enc.sgn`, and how much follows it."""
    return _printable("\n".join([*_header(envelope), f"Payload: {len(envelope.payload)} octets"]) + "\n")


def _header(envelope: Envelope) -> Iterator[str]:
    header = envelope.header
    when = datetime.fromtimestamp(header.timestamp, UTC)
    yield f"The SHA-1 checksum of the file: {envelope.fingerprint}"
    yield f"Length of the file: {len(envelope.data)}"
    yield f"Version:       {header.version[0]}.{header.version[1]}"
    yield f"HeaderLength:  {envelope.header_length} (octets)"
    if header.signer_version is not None:
        yield f"SignerVersion: {header.signer_version[0]}.{header.signer_version[1]}"
    yield f"Signer:        {header.signer}"
    yield f"SerialNumber:  {header.serial.hex().upper()}"
    yield f"Issuer:        {header.issuer}"
    yield f"Signature:     RSA {len(header.signature) * 8}, {header.digest.name}"
    yield f"FileName:      {header.file_name}"
    yield f"Timestamp:     {when:%a %b %d %H:%M:%S UTC %Y}"
    if header.encryption is not None:
        yield f"Encryption:    AES-128-CBC, key by RSA {len(header.encryption.key) * 8}"


def _record(record: Record) -> Iterator[str]:
    role = ROLES[Role(record.role)] if record.role in ROLES else f"role {record.role}"
    values = (
        ("DNSNAME", record.dns_name),
        ("SUBJECTNAME", record.subject),
        ("FUNCTION", role),
        ("ISSUERNAME", record.issuer),
        ("SERIALNUMBER", record.serial and record.serial.hex().upper()),
        ("PUBLICKEY", record.public_key and f"{len(record.public_key)} octets"),
        ("SIGNATURE", record.signature and f"{len(record.signature)} octets"),
        (
            "CERTIFICATE",
            f"{len(record.certificate)} octets" if record.certificate else "none: phones register unsecured",
        ),
        ("CERTIFICATE HASH", record.fingerprint and f"{record.fingerprint} (SHA-1)"),
        ("IPADDRESS", record.address),
    )
    return (f"{name:<17} {value}" for name, value in values if value)


def _printable(text: str) -> str:
    """Names come from whoever made the file: no terminal obeys them."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)
