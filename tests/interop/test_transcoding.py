"""A third-party phone that speaks G.722 or Opus, and a third-party core that speaks G.711: the proxy transcodes.

baresip's codecs are not the product's, so each recording judges our encoder on one side and our decoder on the other.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, UDP, BorderLab, Places, configuration

PROFILE = """\
dspfarm profile 1 transcode security
 codec g711ulaw
 codec {codec}
 maximum sessions 4
 associate application CUBE
 no shutdown
!
"""


def transcoding(codec: str) -> str:
    """The sample, with this codec alone on the phones' dial peers and a profile that has it and G.711."""
    text = configuration(UDP)
    head, mark, peers = text.partition("dial-peer voice 100 ")
    phones, core_mark, core = peers.partition("dial-peer voice 200 ")
    assert mark
    assert core_mark
    changed = phones.replace(" codec g711ulaw\n", f" codec {codec}\n")
    assert changed != phones
    return head + PROFILE.format(codec=codec) + mark + changed + core_mark + core


codecs = pytest.mark.parametrize(
    ("codec", "named"),
    [("g722-64", "g722"), ("opus", "opus/48000/2"), ("g711alaw", "pcma")],
    ids=["g722", "opus", "pcma"],
)


@pytest.fixture
def lab(pki: tuple[Places, Lab], folder: Path) -> BorderLab:
    return BorderLab(*pki, folder, UDP)


@codecs
def test_a_phone_with_another_codec_calls_the_core(lab: BorderLab, codec: str, named: str) -> None:
    phone = lab.access_baresip("1001", PHONE, codecs=named)
    lab.phone_calls_core(lab.proxy(text=transcoding(codec)), lab.core_phone("2001", CORE), phone)


@codecs
def test_the_core_calls_a_phone_with_another_codec(lab: BorderLab, codec: str, named: str) -> None:
    phone = lab.access_baresip("1001", PHONE, codecs=named)
    lab.core_calls_phone(lab.proxy(text=transcoding(codec)), lab.core_phone("2001", CORE), phone)
