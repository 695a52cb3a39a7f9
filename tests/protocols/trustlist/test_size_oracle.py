"""Lengths of real files, from published `show ctl` output: header, records and whole files."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.trustlist import Digest, Header, Record, Role
from cubeproxy.protocols.trustlist.header import write_header
from cubeproxy.protocols.trustlist.records import write_record


def header(signer: int, serial: int, issuer: int, signature: int) -> bytes:
    """The arguments are the lengths of the values, text with its NUL."""
    return write_header(
        Header(
            version=(1, 2),
            signer="S" * (signer - 1),
            serial=b"\x01" * serial,
            issuer="I" * (issuer - 1),
            digest=Digest.SHA1,
            signature=bytes(signature),
            file_name="CTLFile.tlv",
            timestamp=1,
        )
    )


def record(
    dns: int, subject: int, issuer: int, serial: int, key: int, signature: int | None, certificate: int
) -> bytes:
    return write_record(
        Record(
            role=Role.SAST,
            dns_name="d" * (dns - 1),
            subject="s" * (subject - 1),
            issuer="i" * (issuer - 1),
            serial=bytes(serial),
            public_key=bytes(key),
            signature=None if signature is None else bytes(signature),
            certificate=bytes(certificate),
            address="10.0.0.8",
        )
    )


def stub(dns: int) -> bytes:
    return write_record(Record(role=Role.CCM_TFTP, dns_name="d" * (dns - 1), address="10.0.0.8"))


@pytest.mark.parametrize(
    ("lengths", "total", "pads"),
    [((56, 10, 42, 128), 304, 3), ((62, 16, 62, 128), 336, 3), ((55, 8, 55, 128), 312, 1)],
)
def test_header(lengths: tuple[int, int, int, int], total: int, pads: int) -> None:
    octets = header(*lengths)
    assert len(octets) == total == int.from_bytes(octets[8:10], "big")
    assert octets[-pads - 1 :] == b"\x01" + b"\x0d" * pads


@pytest.mark.parametrize(
    ("lengths", "total"),
    [
        ((1, 56, 42, 10, 140, None, 902), 1186),
        ((13, 60, 60, 16, 140, None, 680), 1004),
        ((16, 62, 62, 16, 140, 128, 694), 1156),
        ((16, 60, 60, 16, 140, 128, 680), 1138),
        ((17, 63, 63, 16, 140, 128, 696), 1161),
        ((16, 62, 62, 16, 270, 256, 955), 1675),
        ((11, 55, 55, 8, 140, 128, 712), 1147),
    ],
)
def test_record(lengths: tuple[int, int, int, int, int, int | None, int], total: int) -> None:
    octets = record(*lengths)
    assert len(octets) == total == int.from_bytes(octets[3:5], "big")


def test_stub_record() -> None:
    assert len(stub(13)) == 33


def test_whole_files() -> None:
    """The two lengths that `show ctl` prints as "Length of CTL file"."""
    token = record(1, 56, 42, 10, 140, None, 902)
    capf = record(13, 60, 60, 16, 140, None, 680)
    assert len(header(56, 10, 42, 128) + 2 * token + stub(13) + capf + stub(13)) == 3746
    node = record(16, 62, 62, 16, 140, 128, 694)
    rest = record(16, 60, 60, 16, 140, 128, 680) + record(17, 63, 63, 16, 140, 128, 696)
    assert len(header(62, 16, 62, 128) + 2 * node + rest) == 4947


def test_the_layout_of_a_header() -> None:
    """Each element at its published offset: 2048-bit signer, two pads more than whole words."""
    octets = write_header(
        Header(
            version=(1, 2),
            signer="CN=SAST1;O=Lab;OU=Voice",
            serial=bytes(range(0x78, 0x88)),
            issuer="CN=SAST1;O=Lab;OU=Voice",
            digest=Digest.SHA1,
            signature=b"\xee" * 256,
            file_name="CTLFile.tlv",
            timestamp=0x6B03A96E,
        )
    )
    assert octets[:0x0D].hex(" ") == "01 00 02 01 02 02 00 02 01 84 03 00 49"
    assert octets[0x0D:0x28] == b"\x04\x00\x18CN=SAST1;O=Lab;OU=Voice\x00"
    assert octets[0x28:0x2B].hex(" ") == "05 00 10"
    assert octets[0x3B:0x3E].hex(" ") == "06 00 18"
    assert octets[0x56:0x6B].hex(" ") == "07 00 0f 08 00 01 01 09 00 08 0a 00 01 00 0b 00 01 02 0c 01 00"
    assert octets[0x16B:0x184].hex(" ") == (
        "0e 00 0c 43 54 4c 46 69 6c 65 2e 74 6c 76 00 0f 00 04 6b 03 a9 6e 0d 0d 0d"
    )
    assert len(octets) == 0x184
