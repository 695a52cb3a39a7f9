"""The third-party programs without the product between them: what a later failure is not due to.

Each direction carries another tone, so that a recording also tells whom it heard.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cubelab.capture.pcap import PcapWriter
from cubelab.wire.tap import Datagram
from tests.interop.programs.audio import FRAME, assert_tone, judge, tone, write_tone
from tests.interop.programs.baresip import Account, Baresip
from tests.interop.programs.kamailio import Kamailio, TlsFiles
from tests.interop.programs.linphone import Linphone, LinphoneAccount
from tests.interop.programs.process import free_port, free_ports, running, until
from tests.interop.programs.sipp import TONE, Sipp, ulaw
from tests.interop.programs.tshark import Capture, dissect

TALK = 2.0  # s of tone that a recording must hold


@dataclass(slots=True)
class Lab:
    """One self-signed certificate for everyone: trust is not what these tests are about."""

    certificate: Path
    key: Path
    both: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("lab")
    certificate, key, both = folder / "cert.pem", folder / "key.pem", folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=lab", "-days", "2"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return Lab(certificate, key, both)


def talked(phone: Baresip, hertz: float, seconds: float = TALK + 1) -> bool:
    """Whether its recording holds so much of the tone by now."""
    return judge(phone.heard, hertz).tone * FRAME >= seconds


def secure_baresip(folder: Path, lab: Lab, user: str, hertz: int, *, registrar: str = "") -> Baresip:
    """It registers when it is given a registrar."""
    at, interval = registrar or "127.0.0.1", 60 if registrar else 0
    account = Account(user, at, "tls", user, "secret", media_encryption="srtp-mand", register=interval)
    port = free_ports("127.0.0.1", 2)
    return Baresip(folder, account, tone=hertz, certificate=lab.both, authority=lab.certificate, listen=port)


def test_baresip_talks_to_baresip_over_tls_and_srtp(folder: Path, lab: Lab) -> None:
    caller = secure_baresip(folder / "caller", lab, "1001", 440)
    callee = secure_baresip(folder / "callee", lab, "2001", 1000)
    with running(caller, callee):
        caller.dial(f"sip:2001@127.0.0.1:{callee.tls_port};transport=tls")
        caller.wait_established()
        callee.wait_established()
        until("both hear each other", lambda: talked(caller, 1000) and talked(callee, 440))
        caller.hang_up()
        callee.wait_closed()
    assert_tone(caller.heard, 1000, TALK)
    assert_tone(callee.heard, 440, TALK)
    assert caller.suites == callee.suites == ["AES_CM_128_HMAC_SHA1_80"]


def test_linphonec_talks_to_baresip_over_tls_and_srtp(folder: Path, lab: Lab) -> None:
    sound = write_tone(folder / "700.wav", 700, seconds=20)
    callee = secure_baresip(folder / "callee", lab, "2001", 1000)
    account = LinphoneAccount("1001", f"127.0.0.1:{callee.tls_port}", "127.0.0.1", register=False)
    caller = Linphone(
        folder / "caller", account, sound, certificate=lab.certificate, key=lab.key, authority=lab.certificate
    )
    with running(callee, caller):
        caller.dial(f"sip:2001@127.0.0.1:{callee.tls_port};transport=tls")
        caller.wait_established()
        until("baresip hears linphonec", lambda: talked(callee, 700))
        caller.hang_up()
        callee.wait_closed()
    assert_tone(callee.heard, 700, TALK)
    assert_tone(caller.heard, 1000, TALK)


def test_phones_register_and_call_through_kamailio(folder: Path, lab: Lab) -> None:
    """Both phones over mutual TLS with digest; the core looks the callee up."""
    core = Kamailio(folder / "core", tls=TlsFiles(lab.certificate, lab.key, lab.certificate))
    at = f"127.0.0.1:{core.tls_port}"
    sound = write_tone(folder / "700.wav", 700, seconds=20)
    account = LinphoneAccount("1001", at, "127.0.0.1", password="secret")
    one = Linphone(folder / "one", account, sound, certificate=lab.certificate, key=lab.key, authority=lab.certificate)
    two = secure_baresip(folder / "two", lab, "1002", 1000, registrar=at)
    with running(core, one, two):
        one.wait_registered()
        two.wait_registered()
        two.dial(f"sip:1001@{at};transport=tls")
        one.wait_ringing()
        one.answer()
        two.wait_established()
        until("baresip hears linphonec", lambda: talked(two, 700))
        two.hang_up()
        one.wait_closed()
    assert_tone(two.heard, 700, TALK)
    assert_tone(one.heard, 1000, TALK)


def test_sipp_echoes_what_baresip_says(folder: Path, host: str) -> None:
    """And tshark finds every message of the call, none malformed."""
    core = Sipp(folder / "core", host)
    account = Account("1001", f"{host}:{core.port}", register=60)
    phone = Baresip(folder / "phone", account, tone=500)
    capture = Capture(folder / "capture", f"host {host}")
    with running(capture, core, phone):
        phone.wait_registered()
        phone.dial(f"sip:2001@{host}:{core.port}")
        phone.wait_established()
        until("baresip hears itself", lambda: talked(phone, 500))
        phone.hang_up()
        until("the BYE was answered", lambda: core.counts.successful == 2, log=core.log)  # REGISTER and the call
        capture.wait_message("200 BYE", [core.port])
    assert_tone(phone.heard, 500, TALK)
    seen = dissect(capture.file, sip_ports=[core.port])
    assert {name: seen.sip[name] for name in ("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE")} == {
        "INVITE": 1,
        "180 INVITE": 1,
        "200 INVITE": 1,
        "ACK": 1,
        "BYE": 1,
        "200 BYE": 1,
    }
    assert seen.sdp == 2
    assert seen.rtp >= 2 * TALK / 0.02
    assert seen.malformed == []


def test_sipp_calls_baresip_and_plays_a_tone(folder: Path, host: str) -> None:
    port = free_ports("127.0.0.1", 2)
    phone = Baresip(folder / "phone", Account("1001", "127.0.0.1"), tone=500, listen=port)
    target = f"127.0.0.1:{port}"
    caller = Sipp(folder / "caller", host, target=target, service="1001", media=TONE, hertz=1000, seconds=3)
    with running(phone, caller):
        assert caller.wait_exit() == 0
    assert caller.counts.failed == 0
    assert_tone(phone.heard, 1000, TALK)


OFFER = """\
INVITE sip:2001@127.0.0.2 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1
From: <sip:1001@127.0.0.1>;tag=1
To: <sip:2001@127.0.0.2>
Call-ID: 1@127.0.0.1
CSeq: 1 INVITE
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 20000 RTP/SAVP 0
a=crypto:1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd
"""
PING = bytes.fromhex("80cc0003c5c7cabcf44fe93d6a9f30d63ac1ce49a57f5c52093ba9ff72208aad80000001")  # baresip's, as SRTCP


def test_tshark_does_not_judge_what_it_cannot_open(tmp_path: Path) -> None:
    """RTCP under AES-GCM, which it takes for clear; the same octets where nothing is encrypted are malformed."""
    capture, here, there = tmp_path / "a.pcap", "127.0.0.1", "127.0.0.2"
    for offer, errors in ((OFFER, 0), (OFFER.replace("SAVP", "AVP"), 1)):
        with PcapWriter(capture) as writer:
            writer.write(Datagram(1.0, (here, 5060), (there, 5060), offer.replace("\n", "\r\n").encode()))
            writer.write(Datagram(2.0, (there, 30001), (here, 20001), PING))
        seen = dissect(capture, sip_ports=[5060])
        assert seen.sdp == 1
        assert len(seen.malformed) == errors


def test_the_judge_tells_tones_noise_and_silence_apart(tmp_path: Path) -> None:
    file = write_tone(tmp_path / "a.wav", 1000, seconds=1)
    assert (judge(file, 1000).tone, judge(file, 1000).other) == (10, 0)
    assert (judge(file, 440).tone, judge(file, 440).other) == (0, 10)
    assert judge(write_tone(tmp_path / "b.wav", 1000, seconds=1, level=0), 1000).silent == 10
    with pytest.raises(AssertionError, match="less than 2 s"):
        assert_tone(file, 1000, 2)


def test_ulaw_of_a_tone_is_that_tone() -> None:
    """The expansion of ITU-T G.711 gives back the samples within a segment's step."""
    octets = np.frombuffer(ulaw(440, 0.5), np.uint8) ^ 0xFF
    magnitude = (((octets & 0x0F).astype(int) << 3) + 132 << (octets >> 4 & 7)) - 132
    samples = np.where(octets & 0x80, -magnitude, magnitude)
    assert np.max(np.abs(samples - tone(440, 0.5) * 32767)) < 400


def test_a_free_port_is_bindable() -> None:
    assert 20000 <= free_port("127.0.0.1") < 32000
