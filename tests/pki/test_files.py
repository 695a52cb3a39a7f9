"""A spoilt file of the nvram folder is found, whichever bit was changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.pki.lab import Lab
from cubeproxy.pki.enrol import authenticate
from cubeproxy.pki.files import read_certificates


@pytest.fixture(scope="module")
def stored(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    nvram = tmp_path_factory.mktemp("nvram")
    authenticate(nvram, "CAPF_PUB", lab.capf["pub"].certificate.read_bytes())
    return (nvram / "CAPF_PUB" / "ca.pem").read_bytes()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_changed_bit_fails_or_changes_nothing(stored: bytes) -> None:
    """All positions, all bits."""
    whole = [certificate.public_bytes(Encoding.DER) for certificate in read_certificates(stored)]
    refused = 0
    for position in range(len(stored) * 8):
        spoilt = bytearray(stored)
        spoilt[position // 8] ^= 1 << position % 8
        try:
            found = [certificate.public_bytes(Encoding.DER) for certificate in read_certificates(bytes(spoilt))]
        except (ValueError, x509.InvalidVersion):
            refused += 1
        else:
            assert found == whole, f"bit {position} makes another certificate"
    assert refused > len(stored)  # most of a file is DER


def test_a_certificate_in_the_place_of_another_is_refused(lab: Lab, stored: bytes) -> None:
    line = stored.split(b"\n", 1)[0]
    with pytest.raises(ValueError, match="fingerprint"):
        read_certificates(line + b"\n" + lab.capf["sub"].certificate.read_bytes())


def test_a_file_by_hand_needs_no_fingerprint(lab: Lab) -> None:
    path: Path = lab.capf["pub"].certificate
    assert read_certificates(path.read_bytes()) == x509.load_pem_x509_certificates(path.read_bytes())
