"""Third-party phones without a codec in common: a transcoder stands between them, and each hears the other's tone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, UDP, BorderLab, Places, configuration

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


@pytest.mark.parametrize(("ios", "codec"), [("g711alaw", "pcma"), ("g722-64", "g722")])
def test_a_transcoder_stands_between_them(pki: tuple[Places, Lab], folder: Path, ios: str, codec: str) -> None:
    lab = BorderLab(*pki, folder, UDP)
    callee = lab.core_phone("2001", CORE, codecs=codec)
    lab.phone_calls_core(lab.proxy(text=configured(ios)), callee, lab.access_baresip("1001", PHONE))
