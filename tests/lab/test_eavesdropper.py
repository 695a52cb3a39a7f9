"""The eavesdropper hears what is clear and nothing else, and knows RTP by its behaviour alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cubelab.audio.codec import PCMA, PCMU, Format, payloads
from cubelab.audio.tones import listen, tone
from cubelab.audio.wav import read_wav
from cubelab.capture.pcap import PcapWriter
from cubelab.eavesdropper.eavesdropper import eavesdrop
from cubelab.voice.negotiation import other_key
from cubelab.wire.tap import Datagram
from cubeproxy.protocols import rtp
from cubeproxy.protocols.sdes import fresh
from cubeproxy.protocols.srtp import SrtpSender
from cubeproxy.protocols.suites import Suite

PHONE, PROXY = ("127.40.0.1", 30000), ("127.10.0.1", 8000)


def stream(frequency: int, form: Format = PCMU, ssrc: int = 7, first: int = 65500) -> list[bytes]:
    said = payloads(tone(frequency, 1.5), form)
    return [rtp.build(form.payload_type, first + n, n * 160, ssrc, payload) for n, payload in enumerate(said)]


def captured(path: Path, *packets: bytes) -> Path:
    with PcapWriter(path) as writer:
        for number, packet in enumerate(packets):
            writer.write(Datagram(1.7e9 + number * 0.02, PHONE, PROXY, packet))
    return path


@pytest.mark.parametrize("form", [PCMU, PCMA], ids=lambda form: form.name)
def test_a_clear_tone_is_recovered_and_written(tmp_path, form):
    findings = eavesdrop(captured(tmp_path / "a.pcap", *stream(770, form)), tmp_path)
    [one] = findings.understood
    assert (one.stream.source, one.stream.destination, len(one.stream.packets)) == (PHONE, PROXY, 75)
    assert findings.tones == {770}
    assert listen(read_wav(one.wav), 770).heard


@pytest.mark.parametrize("suite", list(Suite))
def test_an_encrypted_tone_is_noise(tmp_path, suite):
    sender = SrtpSender(fresh(suite), 7)
    packets = [sender.protect(packet) for packet in stream(770)]
    findings = eavesdrop(captured(tmp_path / "a.pcap", *packets), tmp_path)
    assert len(findings.overheard) == 1
    assert findings.tones == set()
    assert findings.overheard[0].hearing.share < 0.05


def test_two_voices_on_one_flow_are_two_streams(tmp_path):
    mixed = [packet for both in zip(stream(440), stream(1000, ssrc=8), strict=True) for packet in both]
    assert eavesdrop(captured(tmp_path / "a.pcap", *mixed)).tones == {440, 1000}


def test_what_is_no_rtp_is_no_stream(tmp_path):
    rng = random.Random(2)
    others = [b"", b"\x80", b"OPTIONS sip:x SIP/2.0\r\n\r\n", *(rng.randbytes(172) for _ in range(60))]
    reports = [b"\x80\xc8\x00\x06" + bytes(24)] * 20
    findings = eavesdrop(captured(tmp_path / "a.pcap", *others, *reports))
    assert (findings.datagrams, findings.overheard) == (83, [])


def test_too_few_packets_are_no_stream(tmp_path):
    assert eavesdrop(captured(tmp_path / "a.pcap", *stream(440)[:9])).overheard == []


def test_an_empty_capture_gives_nothing(tmp_path):
    findings = eavesdrop(captured(tmp_path / "a.pcap"))
    assert (findings.datagrams, findings.overheard, findings.tones) == (0, [], set())


def test_a_key_of_the_lab_never_shows():
    key = other_key(fresh(Suite.AEAD_AES_256_GCM))
    assert key.master.hex() not in repr(key)
