"""The header of CTL, ITL, `.sgn` and `.enc.sgn`, read by tag and written in the order of CUCM.

    1 version, 2 header length, [28 signer version], 3 {4 signer, 5 serial, 6 issuer},
    7 {8 digest, 9 {10 algorithm, 11 modulus}}, 12 signature, 14 file name, 15 timestamp,
    [16 {17 {18, 19 iv, 20 padding}, 21 {22, 23 bits, 24 AES, 25 key}}, 26 digest, 27 digest of the plain text], pads

The header length counts everything, element 12 and the pads that make it a multiple of four too. Other producers have
4, 6, 5 and put 28 elsewhere, so nothing but the first two elements has a fixed place. Unknown tags are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.trustlist.model import (
    ENCRYPTED_VERSION,
    Digest,
    Encryption,
    Envelope,
    Header,
)
from cubeproxy.protocols.trustlist.rules import Rule, TrustListError
from cubeproxy.protocols.trustlist.tlv import PAD, Tlv, number, text, text_value, tlv, walk

LARGEST = 2 * 1024 * 1024  # octets; a phone stops a download there
FIXED = 10  # octets of version and header length

# Where each known element belongs: its container, 0 for the header itself.
PARENTS: Mapping[int, int] = {
    **dict.fromkeys((1, 2, 3, 7, 12, 14, 15, 16, 26, 27, 28), 0),
    **dict.fromkeys((4, 5, 6), 3),
    **dict.fromkeys((8, 9), 7),
    **dict.fromkeys((10, 11), 9),
    **dict.fromkeys((17, 21), 16),
    **dict.fromkeys((18, 19, 20), 17),
    **dict.fromkeys((22, 23, 24, 25), 21),
}
CONTAINERS = frozenset(PARENTS.values()) - {0}
NAMES: Mapping[int, str] = {
    1: "version",
    2: "header length",
    4: "signer name",
    5: "serial number",
    6: "issuer name",
    8: "digest algorithm",
    10: "signature algorithm",
    11: "signature modulus",
    12: "signature",
    14: "file name",
    15: "timestamp",
    19: "initialisation vector",
    20: "padding length",
    25: "encrypted key",
    26: "plain digest algorithm",
    27: "plain digest",
    28: "signer version",
}
MODULI = (64, 128, 256, 512)  # octets of a signature, by element 11
RSA = 0  # element 10
AES = 1  # element 24


def modulus_code(size: int) -> int:
    """Element 11 for a signature of `size` octets. RSA of 3072 bits cannot be said."""
    if size not in MODULI:
        raise LocalProtocolError(f"an RSA signature of {size * 8} bits has no number in these files")
    return MODULI.index(size)


def read_envelope(data: bytes) -> Envelope:
    """A file as header and payload. TrustListError names the rule; nothing is verified here."""
    if len(data) > LARGEST:
        raise TrustListError(Rule.TOO_LARGE, f"{len(data)} octets, {LARGEST} are allowed")
    if len(data) < FIXED:
        raise TrustListError(Rule.TRUNCATED, f"{len(data)} octets hold no header")
    if data[:3] != b"\x01\x00\x02" or data[5:8] != b"\x02\x00\x02":
        raise TrustListError(Rule.MALFORMED, "does not begin with a version and a header length")
    length = int.from_bytes(data[8:10], "big")
    if length > len(data):
        raise TrustListError(Rule.TRUNCATED, f"the header has {length} octets, the file {len(data)}")
    elements: dict[int, Tlv] = {}
    _collect(data, 0, length, 0, elements)
    header = _header(_Values(data, elements))
    return Envelope(header, length, (elements[12].at, elements[12].end), data)


def _collect(data: bytes, start: int, end: int, parent: int, elements: dict[int, Tlv]) -> None:
    for element in walk(data, start, end, pads=parent == 0):
        tag = element.tag
        if tag == PAD and parent == 0:
            continue
        if tag not in PARENTS:
            continue
        if PARENTS[tag] != parent:
            raise TrustListError(Rule.MALFORMED, f"element {tag} stands in {parent or 'the header'}")
        if tag in elements:
            raise TrustListError(Rule.MALFORMED, f"element {tag} stands there twice")
        elements[tag] = element
        if tag in CONTAINERS:
            _collect(data, element.start, element.end, tag, elements)


class _Values:
    """Elements by tag. What is asked for and missing is malformed."""

    def __init__(self, data: bytes, elements: Mapping[int, Tlv]) -> None:
        self.data = data
        self.elements = elements

    def raw(self, tag: int) -> bytes:
        element = self.elements.get(tag)
        if element is None:
            raise TrustListError(Rule.MALFORMED, f"{NAMES[tag]} (element {tag}) is missing")
        return self.data[element.start : element.end]

    def text(self, tag: int) -> str:
        return text(self.raw(tag), NAMES[tag])

    def number(self, tag: int, size: int) -> int:
        return number(self.raw(tag), size, NAMES[tag])

    def version(self, tag: int) -> tuple[int, int]:
        return divmod(self.number(tag, 2), 256)

    def digest(self, tag: int) -> Digest:
        code = self.number(tag, 1)
        if code not in Digest.__members__.values():
            raise TrustListError(Rule.MALFORMED, f"{NAMES[tag]} {code} is unknown")
        return Digest(code)


def _header(values: _Values) -> Header:
    version = values.version(1)
    if version[0] not in (1, 2):
        raise TrustListError(Rule.VERSION, f"header version {version[0]}.{version[1]} is unknown")
    return Header(
        version=version,
        signer=values.text(4),
        serial=values.raw(5),
        issuer=values.text(6),
        digest=values.digest(8),
        signature=_signature(values),
        file_name=values.text(14),
        timestamp=values.number(15, 4),
        signer_version=values.version(28) if 28 in values.elements else None,
        encryption=_encryption(values) if version[0] == ENCRYPTED_VERSION[0] else None,
    )


def _signature(values: _Values) -> bytes:
    signature = values.raw(12)
    if values.number(10, 1) != RSA:
        raise TrustListError(Rule.MALFORMED, "the signature algorithm is not RSA")
    code = values.number(11, 1)
    if code >= len(MODULI) or len(signature) != MODULI[code]:
        raise TrustListError(Rule.MALFORMED, f"a signature of {len(signature)} octets does not fit modulus {code}")
    return signature


def _encryption(values: _Values) -> Encryption:
    iv, padding = values.raw(19), values.number(20, 2)
    if len(iv) != 16 or not 1 <= padding <= 16:
        raise TrustListError(Rule.MALFORMED, f"{len(iv)} octets of initialisation vector, {padding} of padding")
    return Encryption(iv, padding, values.raw(25), values.digest(26), values.raw(27))


def write_header(header: Header) -> bytes:
    before, after = header_parts(header, len(header.signature))
    return before + tlv(12, header.signature) + after


def header_parts(header: Header, signature_size: int) -> tuple[bytes, bytes]:
    """What stands before and behind element 12, for a signature of so many octets."""
    algorithm = tlv(10, bytes((RSA,))) + tlv(11, bytes((modulus_code(signature_size),)))
    front = tlv(28, bytes(header.signer_version)) if header.signer_version is not None else b""
    front += tlv(3, tlv(4, text_value(header.signer)) + tlv(5, header.serial) + tlv(6, text_value(header.issuer)))
    front += tlv(7, tlv(8, bytes((header.digest,))) + tlv(9, algorithm))
    back = tlv(14, text_value(header.file_name)) + tlv(15, header.timestamp.to_bytes(4, "big"))
    if header.encryption is not None:
        back += _write_encryption(header.encryption)
    length = FIXED + len(front) + 3 + signature_size + len(back)
    pads = -length % 4
    fixed = tlv(1, bytes(header.version)) + tlv(2, (length + pads).to_bytes(2, "big"))
    return fixed + front, back + bytes((PAD,)) * pads


def _write_encryption(encryption: Encryption) -> bytes:
    vector = tlv(18, b"\0") + tlv(19, encryption.iv) + tlv(20, encryption.padding.to_bytes(2, "big"))
    bits = len(encryption.key) * 8
    key = tlv(22, b"\0") + tlv(23, bits.to_bytes(2, "big")) + tlv(24, bytes((AES,))) + tlv(25, encryption.key)
    digest = tlv(26, bytes((encryption.digest,))) + tlv(27, encryption.plain_digest)
    return tlv(16, tlv(17, vector) + tlv(21, key)) + digest
