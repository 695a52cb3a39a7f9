"""`srtp pass-thru` between third-party phones: they agree on keys with each other, the proxy only carries packets."""

from __future__ import annotations

from pathlib import Path

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, SIPS, TALK, TLS, BorderLab, Places, configuration, hears
from tests.interop.programs.audio import assert_tone
from tests.interop.programs.cubeproxy import Cubeproxy
from tests.interop.programs.process import running, until


def test_two_phones_hear_each_other_under_keys_of_their_own(pki: tuple[Places, Lab], folder: Path) -> None:
    """A mixed-mode cluster's configuration, with pass-thru on every dial peer, on a router without a DSP farm."""
    lab = BorderLab(*pki, folder, TLS)
    text = configuration(TLS).replace("\n srtp\n", "\n srtp pass-thru\n")
    assert text.count("srtp pass-thru") >= 4
    access = (lab.places.access, SIPS)
    proxy = Cubeproxy(folder / "proxy", text, lab.pki.nvram, lab.places.map, access, ("--verbose",))
    core, callee, phone = lab.core(), lab.core_phone("2001", CORE), lab.access_baresip("1001", PHONE)
    with running(core, proxy, callee, phone):
        callee.wait_registered()
        phone.wait_registered()
        phone.dial(f"sip:2001@{lab.domain}")
        callee.wait_established()
        phone.wait_established()
        until("the core hears the phone", lambda: hears(callee, PHONE), log=proxy.log)
        until("the call is told as passed through", lambda: "SRTP pass-thru" in proxy.output, log=proxy.log)
        phone.hang_up()
        callee.wait_closed()
    assert_tone(callee.heard, PHONE, TALK)
    assert_tone(phone.heard, CORE, TALK)
