"""`srtp pass-thru` between third-party phones: they agree on keys with each other, the proxy only carries packets."""

from __future__ import annotations

from pathlib import Path

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, TLS, BorderLab, Places, configuration


def test_two_phones_hear_each_other_under_keys_of_their_own(pki: tuple[Places, Lab], folder: Path) -> None:
    """A mixed-mode cluster's configuration, with pass-thru on every dial peer, on a router without a DSP farm."""
    lab = BorderLab(*pki, folder, TLS)
    text = configuration(TLS).replace("\n srtp\n", "\n srtp pass-thru\n")
    assert text.count("srtp pass-thru") >= 4
    proxy = lab.proxy("--verbose", text=text)
    lab.phone_calls_core(proxy, lab.core_phone("2001", CORE), lab.access_baresip("1001", PHONE))
    assert "SRTP pass-thru" in proxy.output
