"""`crypto signaling ... cn-san-validate server`: who answers must be trusted and have a certificate for that host."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from cubelab.pki.lab import init_lab
from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import DeviceIdentity
from cubeproxy.server.tls import naming

IDENTITY = DeviceIdentity("", "CN=pub", "CN=pub", "peer", "CCM_PUB", "00")


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    lab = init_lab(tmp_path, nodes={"pub": ("127.0.20.11",), "sub": ("127.0.20.12",)})
    chain = x509.load_pem_x509_certificates(lab.cucm["pub"].certificate.read_bytes())
    assert naming(lambda _: IDENTITY, "127.0.20.11")(chain) is IDENTITY
    with pytest.raises(TrustError, match=r"not for 127\.0\.20\.12") as caught:
        naming(lambda _: IDENTITY, "127.0.20.12")(chain)
    assert "cn-san-validate" in caught.value.fix
    assert caught.value.trustpoint == "CCM_PUB"


def test_trust_comes_before_the_name(tmp_path: Path) -> None:
    def refuse(chain: list[x509.Certificate]) -> DeviceIdentity:
        raise TrustError("nobody vouches")

    lab = init_lab(tmp_path, nodes={"pub": ("127.0.20.11",), "sub": ("127.0.20.12",)})
    chain = x509.load_pem_x509_certificates(lab.cucm["pub"].certificate.read_bytes())
    with pytest.raises(TrustError, match="nobody vouches"):
        naming(refuse, "127.0.20.11")(chain)
