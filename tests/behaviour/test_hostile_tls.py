"""The access side before anybody is known: certificates that must be refused, and connections that say nothing.

For each: the sender gets the alert that fits, the operator one event, and the call in progress loses no packet.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest

from tests.behaviour.raw import Stream, client_context, request, status
from tests.behaviour.siege import Siege

ALERTS = {
    "expired-mic": "CERTIFICATE_EXPIRED",
    "forged-issuer": "UNKNOWN_CA",
    "self-signed": "UNKNOWN_CA",
    "signed-by-phone": "UNKNOWN_CA",
    "unknown-capf": "UNKNOWN_CA",
    "wrong-key-usage": "UNSUPPORTED_CERTIFICATE",
    "wrong-usage": "UNSUPPORTED_CERTIFICATE",
}  # all others: BAD_CERTIFICATE
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
HELLO = bytes.fromhex("16030100c8010000c4") + b"\x03\x03" + bytes(40)  # a ClientHello that says it is 200 octets


def refusal(siege: Siege, context: ssl.SSLContext, source: str) -> str:
    """What the phone's TLS library says of the refusal."""
    try:
        with Stream(siege.access, context, source=source) as stream:
            stream.sock.recv(100)
    except ssl.SSLError as error:
        return error.reason or ""
    except ConnectionResetError:
        return "RESET"
    return "ACCEPTED"


def test_every_bad_certificate_is_refused_by_its_alert_and_told_once(siege: Siege) -> None:
    mark = siege.mark()
    bad = siege.stage.pki.bad
    assert len(bad) == 19
    with siege.calm():
        for fault, identity in bad.items():
            for version in VERSIONS:
                context = client_context(identity.certificate, identity.key)
                context.minimum_version = context.maximum_version = version
                said = refusal(siege, context, siege.host(70))
                assert said.endswith(f"ALERT_{ALERTS.get(fault, 'BAD_CERTIFICATE')}"), (fault, version, said)
    events = mark.events("tls.refused", cause="certificate")
    told = {(event["subject"], event["issuer"], event["reason"]) for event in events}
    assert len(told) == len(events)  # both TLS versions are one line
    assert len(events) >= len(bad) - 2  # OpenSSL has one word for two wrong usages, and two faults one name
    assert all(event["fix"] and event["subject"] and event["reason"] for event in events)


def test_no_certificate_is_refused(siege: Siege) -> None:
    mark = siege.mark()
    for version in VERSIONS:
        context = client_context()
        context.minimum_version = context.maximum_version = version
        assert refusal(siege, context, siege.host(71)) in (
            "TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "SSLV3_ALERT_HANDSHAKE_FAILURE",
        )
    assert "LSC" in mark.one("tls.refused", cause="no-certificate")["fix"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(siege: Siege) -> None:
    mark = siege.mark()
    context = client_context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    assert refusal(siege, context, siege.host(72)) == "TLSV1_ALERT_PROTOCOL_VERSION"
    mark.one("tls.refused", cause="version")


@pytest.mark.parametrize(
    "octets",
    [
        request("OPTIONS", "sip:x@h", transport="TCP"),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x80\x2e\x01\x00\x02" + bytes(40),  # SSL 2
        bytes(range(1, 256)) * 8,
    ],
    ids=["sip in clear text", "http", "sslv2", "binary"],
)
def test_what_is_not_tls_is_closed_without_a_word(siege: Siege, octets: bytes) -> None:
    mark = siege.mark()
    source = siege.host(73 + octets[0] % 16)
    with Stream(siege.access, source=source) as stream:
        stream.say(octets)
        assert stream.ended(3)
        assert not stream.received
    siege.wait(lambda: bool(mark.events("tls.refused", cause="not-tls")))
    assert len(mark.events("tls.refused", cause="not-tls")) == 1


def test_a_peer_that_fails_again_and_again_stays_out_for_a_while(siege: Siege) -> None:
    """Its address pays for it, nobody else's does."""
    mark = siege.mark()
    context = client_context(*_files(siege, "unknown-capf"))
    with siege.calm():
        for _ in range(130):
            with contextlib.suppress(OSError):
                refusal(siege, context, siege.host(90))
        assert refusal(siege, context, siege.host(90)) in ("UNEXPECTED_EOF_WHILE_READING", "RESET", "")
        with siege.rogue() as phone:
            assert status(phone.register()) == 200
    mark.one("gate.refused", cause="penalty")
    assert len(mark.events("tls.refused")) == 1


def _files(siege: Siege, fault: str) -> tuple[Path, Path]:
    identity = siege.stage.pki.bad[fault]
    return identity.certificate, identity.key


def test_two_thousand_half_open_connections_cost_little_and_nobody_else(siege: Siege) -> None:
    """Silent ones, and ones that stop in their ClientHello; all are gone after the first-octet timer."""
    before = siege.rss()
    mark = siege.mark()
    flood: list[socket.socket] = []
    with siege.calm():
        began = time.monotonic()
        for number in range(2000):
            sock = socket.create_connection(siege.access, 5, (siege.host(100 + number % 4), 0))
            flood.append(sock)
            if number % 2:
                sock.sendall(HELLO[: 1 + number % len(HELLO)])
        shaken = time.monotonic()
        with siege.rogue() as phone:
            assert status(phone.register()) == 200
        assert time.monotonic() - shaken < 2.0, "a phone with a certificate had to wait"
        grown = siege.rss()[0] - before[0]
        assert grown < 2000 * 8, f"{grown / 2000:.1f} kB a half-open connection"  # goal: 8 kB
        for sock in flood:
            sock.settimeout(max(0.1, began + 15 - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
            sock.close()
    assert time.monotonic() - began < 15
    told = mark.events("gate.timeout", cause="first-octet")
    assert 1 <= len(told) <= 4  # one for each address


def test_slow_messages_hold_up_nobody(siege: Siege) -> None:
    """Hundreds of connections of one device hang in the middle of a message."""
    slow = []
    with siege.calm():
        for _ in range(200):
            phone = siege.rogue()
            phone.say(phone.request("OPTIONS")[:-20])
            slow.append(phone)
        with siege.rogue() as phone:
            times = []
            for _ in range(50):
                began = time.monotonic()
                assert status(phone.ask(phone.request("OPTIONS"))) == 200
                times.append(time.monotonic() - began)
        assert sorted(times)[-3] < 0.1, sorted(times)[-5:]
        for phone in slow:
            phone.sock.close()


@pytest.mark.soak
def test_a_message_must_become_whole(siege: Siege) -> None:
    """RFC 3261 names no time; a phone has its message ready in milliseconds, and 30 s are ours."""
    mark = siege.mark()
    with siege.rogue() as phone:
        for octet in phone.request("OPTIONS")[:40]:
            phone.say(bytes([octet]))
            if phone.ended(1.0):
                break
        else:
            raise AssertionError("still open after 40 s")
    mark.one("flow.limit", cause="slow-message")
