"""Third-party phones register with client certificates over TLS, and talk SRTP through the proxy to a third-party core.

The core is Kamailio with a baresip behind it: UDP and RTP, or mutual TLS and SRTP. Audio is judged on the programs' own
recordings; each direction carries another tone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, TALK, TLS, UDP, BorderLab, Phone, Places, hears
from tests.interop.programs.audio import assert_tone
from tests.interop.programs.process import running, until
from tests.interop.programs.sipp import TONE, Sipp


@pytest.fixture
def lab(pki: tuple[Places, Lab], folder: Path, request: pytest.FixtureRequest) -> BorderLab:
    """With a core on UDP unless the test says otherwise."""
    return BorderLab(*pki, folder, getattr(request, "param", UDP))


def access_phone(lab: BorderLab, kind: str) -> Phone:
    make = lab.access_baresip if kind == "baresip" else lab.access_linphone
    return make("1001", PHONE)


cores = pytest.mark.parametrize("lab", [UDP, TLS], indirect=True, ids=["core-udp-rtp", "core-tls-srtp"])
phones = pytest.mark.parametrize("kind", ["baresip", "linphonec"])


@cores
@phones
def test_a_phone_outside_calls_the_core(lab: BorderLab, kind: str) -> None:
    lab.phone_calls_core(lab.proxy(), lab.core_phone("2001", CORE), access_phone(lab, kind))


@cores
@phones
def test_the_core_calls_a_phone_outside(lab: BorderLab, kind: str) -> None:
    lab.core_calls_phone(lab.proxy(), lab.core_phone("2001", CORE), access_phone(lab, kind))


def test_a_phone_outside_calls_an_echoing_sipp(lab: BorderLab) -> None:
    """The phone hears its own tone: both directions are bridged, SRTP outside and RTP inside."""
    core = Sipp(lab.folder / "core", lab.places.publisher, port=5060)
    proxy, phone = lab.proxy(), lab.access_baresip("1001", PHONE)
    with running(core, proxy, phone):
        phone.wait_registered()
        phone.dial(f"sip:2001@{lab.domain}")
        phone.wait_established()
        until("the phone hears its echo", lambda: hears(phone, PHONE), log=proxy.log)
        phone.hang_up()
        until("SIPp's call ended well", lambda: core.counts.successful >= 2, log=core.log)  # REGISTER, then the call
    assert_tone(phone.heard, PHONE, TALK)
    assert core.counts.failed == 0


def test_sipp_calls_a_phone_outside(lab: BorderLab) -> None:
    core = Sipp(lab.folder / "core", lab.places.publisher, port=5060)
    proxy, phone = lab.proxy(), lab.access_baresip("1001", PHONE)
    with running(core, proxy, phone):
        phone.wait_registered()
        caller = Sipp(
            lab.folder / "caller",
            lab.places.publisher,
            target=f"{lab.places.core}:5060",
            service="1001",
            media=TONE,
            hertz=CORE,
            seconds=TALK + 1,
        )
        with caller:
            assert caller.wait_exit() == 0, caller.errors
    assert caller.counts.failed == 0
    assert_tone(phone.heard, CORE, TALK)
