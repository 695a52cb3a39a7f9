"""Third-party phones without a codec in common: a transcoder stands between them, and each hears the other's tone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, SIPS, TALK, UDP, BorderLab, Places, configuration, hears
from tests.interop.programs.audio import assert_tone
from tests.interop.programs.baresip import Baresip
from tests.interop.programs.cubeproxy import Cubeproxy
from tests.interop.programs.process import running, until

PROFILE = """\
dspfarm profile 1 transcode universal security
 codec g711ulaw
 codec g711alaw
 codec g722-64
 maximum sessions 4
 associate application CUBE
 no shutdown
!
"""
CORE_CODEC = " dtmf-relay rtp-nte\n codec g711ulaw\n no vad\n!\ndial-peer voice 201"


def configured(codec: str) -> str:
    """The sample for IOS XE with the local transcoder, and another codec on the core's first dial peer."""
    text = configuration(UDP)
    assert CORE_CODEC in text
    text = text.replace(CORE_CODEC, CORE_CODEC.replace("g711ulaw", codec))
    return text.replace("voice class uri ACC sip\n", PROFILE + "voice class uri ACC sip\n", 1)


def core_phone(lab: BorderLab, codec: str) -> Baresip:
    """Registered with the core, and knows one codec."""
    phone = lab.core_phone("2001", CORE)
    return Baresip(lab.folder / f"core-{codec}", replace(phone.account, codecs=codec), tone=CORE)


@pytest.mark.parametrize(("ios", "codec"), [("g711alaw", "pcma"), ("g722-64", "g722")])
def test_a_transcoder_stands_between_them(pki: tuple[Places, Lab], folder: Path, ios: str, codec: str) -> None:
    lab = BorderLab(*pki, folder, UDP)
    access = (lab.places.access, SIPS)
    proxy = Cubeproxy(folder / "proxy", configured(ios), lab.pki.nvram, lab.places.map, access)
    core, callee, phone = lab.core(), core_phone(lab, codec), lab.access_baresip("1001", PHONE)
    with running(core, proxy, callee, phone):
        callee.wait_registered()
        phone.wait_registered()
        phone.dial(f"sip:2001@{lab.domain}")
        callee.wait_established()
        phone.wait_established()
        until("the core hears the phone", lambda: hears(callee, PHONE), log=proxy.log)
        phone.hang_up()
        callee.wait_closed()
    assert_tone(callee.heard, PHONE, TALK)
    assert_tone(phone.heard, CORE, TALK)
