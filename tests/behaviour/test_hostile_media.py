"""Media ports as anybody on the Internet reaches them: sprayed, scanned, replayed to, and sent forged RTCP.

Nothing is answered, nothing is injected, and the call in progress loses no packet.
"""

from __future__ import annotations

import os
import random
import struct
import time
from dataclasses import replace

import pylibsrtp
import pytest

from cubelab.voice.voice import VoiceFault
from tests.behaviour.raw import Address, Rogue, answers, header, sdp, status, tag_of, udp
from tests.behaviour.siege import Siege

KEY = bytes(range(30))  # what CRYPTO announces
PORTS = range(8000, 8400)


def rtp(sequence: int, *, ssrc: int = 0x1234, payload: bytes = b"\xff" * 160) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc) + payload


def outgoing(key: bytes = KEY) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    return pylibsrtp.Session(policy)


STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(8) + b"\x00\x40" + bytes(64)
JUNK = (
    lambda rng: rtp(rng.randrange(65536)),
    lambda rng: rtp(rng.randrange(65536), payload=rng.randbytes(170)),
    lambda rng: rng.randbytes(rng.randrange(1, 1400)),
    lambda rng: STUN,
    lambda rng: DTLS,
    lambda rng: b"\x80",
    lambda rng: b"\xbf" + rtp(5)[1:],  # CSRC list, extension and padding that are not there
    lambda rng: struct.pack("!BBHI", 0x81, 203, 1, rng.randrange(1 << 32)),  # RTCP BYE
)
RTCP = (
    b"\x80\xc9\x00\x00",  # four octets
    struct.pack("!BBHI", 0x80, 203, 1, 7),
    struct.pack("!BBHI", 0x81, 200, 12, 7) + bytes(48),
    b"\x80\xca\xff\xff" + bytes(40),
)


def spray(targets: list[Address], sources: list[object], count: int, seed: int = 1) -> None:
    rng = random.Random(seed)
    for number in range(count):
        sock = sources[number % len(sources)]
        host, port = targets[number % len(targets)]
        sock.sendto(JUNK[number % len(JUNK)](rng), (host, port))  # type: ignore[attr-defined]
        sock.sendto(RTCP[number % len(RTCP)], (host, port + 1))  # type: ignore[attr-defined]
        if number % 50 == 49:
            time.sleep(0.002)


def places(siege: Siege) -> list[Address]:
    """The proxy's media ports of the call in progress, access and core."""
    access, core = siege.call.session, siege.far.session
    assert access is not None
    assert core is not None
    assert access.remote is not None
    assert core.remote is not None
    return [access.remote, core.remote]


def set_up(siege: Siege) -> tuple[Rogue, bytes, Address, object]:
    """A call of the rogue's own: its connection, the 200, where its media goes, and the socket that it speaks from."""
    phone = siege.rogue()
    assert status(phone.register()) == 200
    voice = udp((siege.host(), 0))
    port = voice.getsockname()[1]
    ok = phone.ask(phone.request("INVITE", f"sip:3001@{phone.host}", body=sdp(siege.host(), port)))
    assert status(ok) == 200
    assert ok is not None
    ids = {"to": f"sip:3001@{phone.host}", "to_tag": tag_of(header(ok, "To")), "from_tag": tag_of(header(ok, "From"))}
    phone.say(phone.request("ACK", f"sip:3001@{phone.host}", call_id=header(ok, "Call-ID"), **ids))
    line = next(line for line in ok.split(b"\r\n") if line.startswith(b"m=audio"))
    return phone, ok, (siege.access[0], int(line.split()[1])), voice


def end(phone: Rogue, ok: bytes) -> None:
    ids = {"to": f"sip:3001@{phone.host}", "to_tag": tag_of(header(ok, "To")), "from_tag": tag_of(header(ok, "From"))}
    call_id = header(ok, "Call-ID")
    assert status(phone.ask(phone.request("BYE", f"sip:3001@{phone.host}", cseq=2, call_id=call_id, **ids))) == 200
    phone.sock.close()


def test_sprayed_ports_answer_nobody_and_let_nothing_in(siege: Siege) -> None:
    """RTP, SRTP with bad tags, RTCP, STUN, DTLS and noise at 10 000/s, from strangers and from the phone's own host."""
    mark = siege.mark()
    sources = [udp((siege.host(100 + number), 0)) for number in range(4)]
    sources += [udp((siege.host(1), 0)), udp((siege.stage.network.nodes[0], 0))]  # the right hosts, the wrong ports
    with siege.calm():
        spray(places(siege), list(sources), 3000)  # buffers take their size
        before = siege.rss()
        spray(places(siege), list(sources), 6000)
        assert answers(*sources) == []
    events = mark.events("media.noise")
    assert [event["call"] for event in events] == ["1"]
    assert siege.rss()[1] - before[1] < 1_000
    for sock in sources:
        sock.close()


def test_a_port_scan_finds_nothing(siege: Siege) -> None:
    """Open and closed ports of the range look the same but for ICMP, which is the kernel's; no datagram comes back."""
    scanner = udp((siege.host(98), 0))
    with siege.calm():
        for port in PORTS:
            for host in (siege.access[0], siege.core[0]):
                for probe in (rtp(1), STUN, b""):
                    scanner.sendto(probe, (host, port)) if probe else None
        assert answers(scanner) == []
    scanner.close()


def test_ports_that_were_sprayed_before_a_call_are_clean_in_it(siege: Siege) -> None:
    """No first packet wins: what came before, or comes first, teaches nothing."""
    attacker = udp((siege.host(97), 0))
    with siege.calm():
        for port in PORTS:
            attacker.sendto(rtp(1), (siege.access[0], port))
            attacker.sendto(rtp(1), (siege.core[0], port))
        phone, ok, place, voice = set_up(siege)
        for number in range(200):
            attacker.sendto(rtp(number), place)
            attacker.sendto(rtp(number), (siege.core[0], place[1]))
        far = siege.stage.cucm.calls[-1]
        assert far is not siege.far
        heard = far.voice.counters.received
        assert answers(attacker) == []
        assert far.voice.counters.received == heard == 0
        session = outgoing()
        for number in range(100):
            voice.sendto(session.protect(rtp(number)), place)  # type: ignore[attr-defined]
        siege.wait(lambda: far.voice.counters.received == 100)
        end(phone, ok)
    attacker.close()


def test_replays_and_bad_tags_are_counted_and_nothing_else(siege: Siege) -> None:
    """A recorder on the path sends what it recorded again, in the window and out of it, from elsewhere."""
    attacker = udp((siege.host(96), 0))
    with siege.calm():
        phone, ok, place, voice = set_up(siege)
        far = siege.stage.cucm.calls[-1]
        session = outgoing()
        recorded = [session.protect(rtp(number)) for number in range(500)]
        for number, packet in enumerate(recorded):
            voice.sendto(packet, place)  # type: ignore[attr-defined]
            if number % 50 == 49:
                time.sleep(0.005)
        siege.wait(lambda: far.voice.counters.received == 500)
        for turn in range(10):
            for packet in recorded:
                attacker.sendto(packet, place)
                attacker.sendto(packet[:-1] + bytes([packet[-1] ^ 1 + turn]), place)
                attacker.sendto(packet[:2] + b"\xff\xff" + packet[4:], place)  # far ahead: the tag does not fit
            time.sleep(0.02)
        answers(voice, patience=0.0)  # type: ignore[arg-type]
        assert answers(attacker) == [], "the attacker was sent the call"
        assert far.voice.counters.received == 500
        voice.sendto(session.protect(rtp(500)), place)  # type: ignore[attr-defined]
        siege.wait(lambda: far.voice.counters.received == 501)
        assert answers(voice, patience=0.2, most=5), "the core's voice still goes to the phone"  # type: ignore[arg-type]
        end(phone, ok)
    attacker.close()


def test_a_wrong_key_is_told_once(siege: Siege) -> None:
    """The phone announces one key and uses another: silence at the core, and a line that says why."""
    mark = siege.mark()
    phone = siege.stage.phones["1002"]
    honest = phone.settings
    with siege.calm():
        phone.settings = replace(honest, fault=VoiceFault.WRONG_KEY)
        try:
            call = siege.do(phone.call("3001"))
            siege.do(call.answered())
            event = mark.one("media.auth-failures")
        finally:
            phone.settings = honest
        assert event["severity"] == "WARNING"
        assert event["side"] == "access"
        assert event["device"] == "SEP001122334466"
        assert event["fix"] == "the peer protects with another key than it announced"
        assert siege.stage.cucm.calls[-1].voice.counters.received == 0
        siege.do(call.hang_up())
    assert len(mark.events("media.auth-failures")) == 1


def test_clear_audio_under_an_srtp_call_does_not_pass(siege: Siege) -> None:
    phone = siege.stage.phones["1002"]
    honest = phone.settings
    with siege.calm():
        phone.settings = replace(honest, fault=VoiceFault.CLEAR)
        try:
            call = siege.do(phone.call("3001"))
            siege.do(call.answered())
        finally:
            phone.settings = honest
        siege.wait(lambda: call.voice.counters.sent > 30)
        assert siege.stage.cucm.calls[-1].voice.counters.received == 0
        siege.do(call.hang_up())


@pytest.mark.soak
def test_a_hundred_thousand_bad_tags_during_a_call(siege: Siege) -> None:
    """A11 of the matrix: counted, and nothing else."""
    before = siege.rss()
    attacker = udp((siege.host(95), 0))
    with siege.calm():
        for number in range(100_000):
            attacker.sendto(rtp(number, payload=os.urandom(170)), places(siege)[0])
            if number % 100 == 99:
                time.sleep(0.005)
        assert answers(attacker) == []
    assert siege.rss()[1] - before[1] < 1_000
    attacker.close()
